"""Two pictures in one place: self-contained, described, of one size."""

import base64
import io
import re

import matplotlib.image
import numpy as np
import pytest

from figures_pkg.interactive.page import Picture, blink


def pair(**change):
    """Two ramps."""
    first = {"title": "simulated", "values": np.arange(6.0).reshape(2, 3), "alt": "a ramp", "limits": (0, 5), "cmap": "gray"}
    return Picture(**first), Picture(**first | {"title": "measured"} | change)


def drawn(html):
    """The pictures in the page."""
    found = re.findall(r"base64,([A-Za-z0-9+/=]+)", html)
    return [matplotlib.image.imread(io.BytesIO(base64.b64decode(text)), format="png") for text in found]


def test_pixels_have_the_colours_of_their_values():
    """Linear and logarithmic, one pixel for each value, what is beyond the limits drawn like the ends."""
    linear, logarithmic = drawn(blink(*pair(values=10.0 ** np.arange(6).reshape(2, 3), limits=(10, 1000), logarithmic=True)))
    np.testing.assert_allclose(linear[..., 0], np.arange(6).reshape(2, 3) / 5, atol=0.003)
    np.testing.assert_allclose(logarithmic[..., 0], [[0, 0, 0.5], [1, 1, 1]], atol=0.003)


def test_it_is_whole_and_described():
    """No address, both alternative texts, titles that cannot end a tag, different ids."""
    first, second = blink(*pair(alt='a "ramp"')), blink(*pair(title="</script><b>"))
    assert not re.search(r"https?:|\bsrc=(?!\"data:)", first)
    assert 'alt="a ramp"' in first and 'alt="a &quot;ramp&quot;"' in first
    assert "</script><b>" not in second
    assert re.search(r'<div id="([^"]+)"', first)[1] != re.search(r'<div id="([^"]+)"', second)[1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"values": np.zeros((3, 2))}, r"shapes \(2, 3\) and \(3, 2\)"),
        ({"values": np.full((2, 3), np.nan)}, "missing values"),
        ({"limits": (1, 1)}, "low < high"),
        ({"logarithmic": True}, "positive on a logarithm"),
    ],
)
def test_pictures_that_cannot_be_laid_on_each_other_are_refused(change, message):
    """Other shapes, holes, no colours: one clear error."""
    with pytest.raises(ValueError, match=message):
        blink(*pair(**change))
