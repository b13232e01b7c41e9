"""A process that has imported the large libraries, from which the jobs of a build and the kernels of their notebooks are forked; on Linux only.

Of this package the template imports this file alone, so each fork reads the code as it is then. It computes nothing, and it starts no threads.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress

import psutil

LIBRARIES = ("pandas", "jinja2", "xarray", "h5netcdf", "dask.array", "distributed", "pint", "numcodecs", "numba", "scipy.stats",
             "scipy.optimize", "scipy.interpolate", "scipy.ndimage", "pooch", "matplotlib.pyplot", "torch", "jupytext", "papermill", "ipykernel.kernelapp",
             "myst_nb", "abtem")  # fmt: skip
KERNEL = "FIGURES_PKG_KERNEL"  # in the job of a notebook: the kernel that waits for it, and the pipe on which it waits


class Template:
    """The template as a build sees it; it ends with the build."""

    def __init__(self, environment: Mapping[str, str]):
        self.requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, "-m", __name__, str(theirs.fileno())]
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment, pass_fds=[theirs.fileno()])

    def run(self, words: Sequence[str], log: int, environment: Mapping[str, str]) -> tuple[int, float]:
        """Exit status, negative for a signal, and CPU seconds of ``python -m WORDS``, written to an open file; OSError without a template."""
        answer, theirs = socket.socketpair()
        with answer:
            with theirs:
                socket.send_fds(self.requests, [json.dumps([words, dict(environment)]).encode()], [log, theirs.fileno()])
            return tuple(json.loads(answer.recv(1000) or f"[{-signal.SIGKILL}, 0.0]"))  # nothing, if what would have answered was killed


def _serve(requests: socket.socket) -> None:
    """Import, then fork for each request until the build ends; a fork returns when its module has run."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):  # who ends a build means the jobs, and nobody waits for the forks
        signal.signal(number, signal.SIG_IGN)
    for library in LIBRARIES:
        with suppress(ImportError):
            importlib.import_module(library)
    gc.freeze()
    while psutil.Process().num_threads() == 1 and (received := socket.recv_fds(requests, 2**20, 2))[0]:
        answer, (log, end) = json.loads(received[0]), received[1]
        if not os.fork():
            requests.close()
            return _job(*answer, log, end)
        os.close(log)
        os.close(end)


def _job(words: list[str], environment: dict[str, str], log: int, answer: int) -> None:
    """Run a module in a fork that becomes the job, beside a waiting kernel if it is a notebook's, and answer how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if job := os.fork():
        _, status, usage = os.wait4(job, 0)
        os.write(answer, json.dumps([os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime]).encode())
        os._exit(0)
    os.close(answer)
    os.dup2(log, 1)
    os.dup2(log, 2)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if words[:2] == ["figures_pkg", "notebook"]:
        orders, pipe = os.pipe()
        if kernel := os.fork():
            os.close(orders)
            environment[KERNEL] = f"{kernel} {pipe}"
        else:
            os.close(pipe)
            with open(orders, encoding="utf-8") as file:
                words, environment, folder = json.loads(file.read() or "[[], {}, null]")
            if not words:
                return  # the job ended without a kernel
            os.setsid()
            os.chdir(folder)
            sys.path[0] = folder
            # What these two find out when they are imported in a kernel.
            sys.modules["matplotlib"].rcParams["backend"] = "module://matplotlib_inline.backend_inline"
            sys.modules["pandas"].options.display.max_columns = 20
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = words
    runpy.run_module(words[0], run_name="__main__", alter_sys=True)


def waiting_kernel() -> dict:
    """What papermill is told so that it takes the kernel that waits for this job, if one does."""
    if KERNEL not in os.environ:
        return {}
    from jupyter_client import AsyncKernelManager

    class Kernel(psutil.Process):
        """A fork, as Jupyter's client handles a process that it has started."""

        stdin = stdout = stderr = None

        def poll(self):
            """The exit status, None while it runs."""
            with suppress(psutil.TimeoutExpired):
                return self.wait(0)

        def send_signal(self, sig):
            """Send a signal; nothing happens where the process has ended."""
            with suppress(psutil.NoSuchProcess):
                super().send_signal(sig)

    class Manager(AsyncKernelManager):
        """Orders the kernel that waits to start."""

        async def _async_launch_kernel(self, kernel_cmd, env, **_):
            number, pipe = map(int, os.environ.pop(KERNEL).split())
            env.pop(KERNEL, None)  # a copy of what this process had
            words = ["ipykernel_launcher", "-f", self.connection_file, f"--IPKernelApp.parent_handle={os.getpid()}"]
            with open(pipe, "w", encoding="utf-8") as order:
                json.dump([words, env, os.getcwd()], order)
            self.provisioner.process, self.provisioner.pid, self.provisioner.pgid = Kernel(number), number, number

    return {"kernel_manager_class": Manager}


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
