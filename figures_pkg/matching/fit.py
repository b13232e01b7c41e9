"""Levenberg-Marquardt on the spline of the library, compiled: thickness and two tilts of many patterns, with their errors; the scale is linear.

Everything that Python calls here has its parts in this file, because the compiler's cache looks at one file only.
"""

import numpy as np
from numba import njit

MOST_STEPS = 30
SETTLED = 1e-3  # a step that lowers chi squared by less ends the fit; an error moves it by 1
COLUMNS = 12  # of a result: three coordinates, scale, chi squared, at the edge, six of the covariance


@njit(nogil=True, cache=True, inline="always")
def _weights(u, nodes, w, dw):
    """Values and slopes of the four cubic B-splines at grid coordinate `u`; returns the first index."""
    start = min(int(u), nodes - 2)
    x = np.float32(u - start)
    y = np.float32(1) - x
    half, sixth, two_thirds = np.float32(0.5), np.float32(1 / 6), np.float32(2 / 3)
    w[0], w[3] = sixth * y * y * y, sixth * x * x * x
    w[1], w[2] = two_thirds - x * x * (np.float32(1) - half * x), two_thirds - y * y * (np.float32(1) - half * y)
    dw[0], dw[3] = -half * y * y, half * x * x
    dw[1], dw[2] = x * (np.float32(1.5) * x - np.float32(2)), -y * (np.float32(1.5) * y - np.float32(2))
    return start


@njit(nogil=True, cache=True, fastmath=True)
def predict(coefficients, u, out):
    """Write the intensities and their three slopes at grid coordinates ``u`` of tilt b, tilt c and thickness to ``out``, float32 (4, n)."""
    w, dw = np.empty((3, 4), np.float32), np.empty((3, 4), np.float32)
    b0 = _weights(u[0], coefficients.shape[0] - 2, w[0], dw[0])
    c0 = _weights(u[1], coefficients.shape[1] - 2, w[1], dw[1])
    t0 = _weights(u[2], coefficients.shape[2] - 2, w[2], dw[2])
    out[:] = 0
    for i in range(4):
        for j in range(4):
            block = coefficients[b0 + i, c0 + j]
            q0, q1, q2, q3 = block[t0], block[t0 + 1], block[t0 + 2], block[t0 + 3]
            here, along_b, along_c = w[0, i] * w[1, j], dw[0, i] * w[1, j], w[0, i] * dw[1, j]
            for r in range(out.shape[1]):
                value = w[2, 0] * q0[r] + w[2, 1] * q1[r] + w[2, 2] * q2[r] + w[2, 3] * q3[r]
                slope = dw[2, 0] * q0[r] + dw[2, 1] * q1[r] + dw[2, 2] * q2[r] + dw[2, 3] * q3[r]
                out[0, r] += here * value
                out[1, r] += along_b * value
                out[2, r] += along_c * value
                out[3, r] += here * slope


@njit(nogil=True, cache=True, fastmath=True)
def _normal_equations(data, weight, model, hessian, gradient, mixed):
    """Fill the equations of a step with the scale solved for; returns scale and chi squared."""
    dm, mm, dd = 0.0, 0.0, 0.0
    for r in range(data.size):
        wm = weight[r] * model[0, r]
        dm += wm * data[r]
        mm += wm * model[0, r]
        dd += weight[r] * data[r] * data[r]
    scale = max(dm / max(mm, 1e-30), 0.0)
    hessian[:] = 0
    gradient[:] = 0
    mixed[:] = 0
    for r in range(data.size):
        wr = weight[r] * (data[r] - scale * model[0, r])
        for k in range(3):
            slope = scale * model[1 + k, r]
            gradient[k] += wr * slope
            mixed[k] += weight[r] * slope * model[0, r]
            for l in range(k + 1):
                hessian[k, l] += weight[r] * slope * scale * model[1 + l, r]
    for k in range(3):
        mixed[k] /= max(mm, 1e-30)
    for k in range(3):
        for l in range(k + 1):
            hessian[k, l] -= mixed[k] * mixed[l] * mm
            hessian[l, k] = hessian[k, l]
    return scale, dd - 2 * scale * dm + scale * scale * mm


@njit(nogil=True, cache=True)
def _inverse(a, out):
    """Inverse of a symmetric 3 x 3 matrix; returns False where it is singular."""
    out[0, 0] = a[1, 1] * a[2, 2] - a[1, 2] * a[2, 1]
    out[0, 1] = a[0, 2] * a[2, 1] - a[0, 1] * a[2, 2]
    out[0, 2] = a[0, 1] * a[1, 2] - a[0, 2] * a[1, 1]
    out[1, 1] = a[0, 0] * a[2, 2] - a[0, 2] * a[2, 0]
    out[1, 2] = a[0, 2] * a[1, 0] - a[0, 0] * a[1, 2]
    out[2, 2] = a[0, 0] * a[1, 1] - a[0, 1] * a[1, 0]
    out[1, 0], out[2, 0], out[2, 1] = out[0, 1], out[0, 2], out[1, 2]
    determinant = a[0, 0] * out[0, 0] + a[0, 1] * out[1, 0] + a[0, 2] * out[2, 0]
    if not abs(determinant) > 1e-12 * abs(a[0, 0] * a[1, 1] * a[2, 2]):
        return False
    for k in range(3):
        for l in range(3):
            out[k, l] /= determinant
    return True


@njit(nogil=True, cache=True)
def _step(hessian, gradient, damping, u, last, inverse, trial):
    """Write the damped step from `u`, kept inside the grid, to `trial`; returns how much chi squared should fall."""
    damped = hessian.copy()
    for k in range(3):
        damped[k, k] = hessian[k, k] * (1 + damping) + 1e-12
    if not _inverse(damped, inverse):
        return 0.0
    fall = 0.0
    for k in range(3):
        move = inverse[k, 0] * gradient[0] + inverse[k, 1] * gradient[1] + inverse[k, 2] * gradient[2]
        fall += move * gradient[k]
        trial[k] = min(max(u[k] + move, 0.0), last[k])
    return fall


@njit(nogil=True, cache=True)
def _covariance(coefficients, data, weight, variance, correlation, result):
    """Write the covariance of the coordinates from the counting noise alone to the end of a result; nan where it does not exist."""
    model = np.empty((4, data.size), np.float32)
    hessian, gradient, mixed, inverse = np.empty((3, 3)), np.empty(3), np.empty(3), np.empty((3, 3))
    predict(coefficients, result[:3], model)
    scale, _ = _normal_equations(data, weight, model, hessian, gradient, mixed)
    result[6:] = np.nan
    if not _inverse(hessian, inverse):
        return
    slopes = np.empty((3, data.size))
    for r in range(data.size):
        for k in range(3):
            slopes[k, r] = weight[r] * (scale * model[1 + k, r] - mixed[k] * model[0, r]) * np.sqrt(variance[r])
    covariance = inverse @ (slopes @ (correlation @ slopes.T)) @ inverse
    result[6], result[7], result[8] = covariance[0, 0], covariance[1, 1], covariance[2, 2]
    result[9], result[10], result[11] = covariance[0, 1], covariance[0, 2], covariance[1, 2]


@njit(nogil=True, cache=True)
def refine(coefficients, data, weight, start, result):
    """Fit one pattern from one start; writes coordinates, scale, chi squared, and 1 where the fit ended on the edge of the grid to ``result`` (12,)."""
    model, other = np.empty((4, data.size), np.float32), np.empty((4, data.size), np.float32)
    hessian, gradient, mixed, inverse = np.empty((3, 3)), np.empty(3), np.empty(3), np.empty((3, 3))
    last = np.array([coefficients.shape[0] - 3.0, coefficients.shape[1] - 3.0, coefficients.shape[2] - 3.0])
    u, trial, damping = start.copy(), start.copy(), 1e-3
    predict(coefficients, u, model)
    scale, chi2 = _normal_equations(data, weight, model, hessian, gradient, mixed)
    for _ in range(MOST_STEPS):
        fall = _step(hessian, gradient, damping, u, last, inverse, trial)
        if not fall > SETTLED:
            break
        predict(coefficients, trial, other)
        keep_hessian, keep_gradient, keep_mixed = hessian.copy(), gradient.copy(), mixed.copy()
        new_scale, new_chi2 = _normal_equations(data, weight, other, hessian, gradient, mixed)
        if new_chi2 < chi2:
            settled = chi2 - new_chi2 < SETTLED
            u[:], scale, chi2, damping = trial, new_scale, new_chi2, 0.2 * damping
            model, other = other, model
            if settled:
                break
        else:
            hessian[:], gradient[:], mixed[:], damping = keep_hessian, keep_gradient, keep_mixed, 10 * damping
    result[:3], result[3], result[4], result[5] = u, scale, chi2, 0.0
    for k in range(3):
        if u[k] <= 0 or u[k] >= last[k]:
            result[5] = 1.0


@njit(nogil=True, cache=True)
def refine_all(coefficients, data, weights, variances, correlation, starts, results):
    """Fit patterns with both polarizations, from starts (p, 2, s, 3) in grid coordinates, and keep the best for each in ``results`` (p, 2, 12).

    Data, weights of their squares and variances of counting are (p, n), the correlation of the noise (n, n). A result is what :func:`refine` says,
    and for the better polarization the covariance of its coordinates (bb, cc, tt, bc, bt, ct).
    """
    one = np.empty(results.shape[2])
    for p in range(data.shape[0]):
        for state in range(2):
            results[p, state, 4] = np.inf
            for s in range(starts.shape[2]):
                refine(coefficients[state], data[p], weights[p], starts[p, state, s], one)
                if one[4] < results[p, state, 4]:
                    results[p, state] = one
        better = 0 if results[p, 0, 4] <= results[p, 1, 4] else 1
        _covariance(coefficients[better], data[p], weights[p], variances[p], correlation, results[p, better])
