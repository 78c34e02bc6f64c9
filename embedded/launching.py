"""How a child process starts and ends.

In a session of its own, never outliving us, stopped by a signal and then by force. ``tie_to_parent`` counts
from the thread that started the child: start children in a thread that lives as long as they should.
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import IO

_PR_SET_PDEATHSIG = 1
# Threads and downloads of the libraries inside a child; many busy children share few cores, and nothing may
# fetch at run time. Weights lie in huge pages where the kernel gives them: to encode is to wait for memory.
# For that malloc has to take what is below 32 MB out of its heap from the start, as it would by and by.
HYGIENE = {
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:"
    f"glibc.malloc.mmap_threshold={32 << 20}:glibc.malloc.trim_threshold={64 << 20}",
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONUNBUFFERED": "1",
}


def child_environ(base: Mapping[str, str], **extra: str) -> dict[str, str]:
    """Return the environment of a child: ours, then the hygiene, then what is particular to it."""
    return {**base, **HYGIENE, **extra}


def tie_to_parent(*, niceness: int = 0) -> Callable[[], None]:
    """Return what a child does between fork and exec.

    Die with its parent (Linux), take SIGINT again, yield, write private files.
    """
    parent = os.getpid()
    prctl = ctypes.CDLL(None, use_errno=True).prctl if sys.platform == "linux" else None

    def before_exec() -> None:
        # A shell's `up &` ignores it, and Milvus is stopped with it
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if prctl is not None:
            prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
            if os.getppid() != parent:  # it died before the call
                os._exit(1)
        os.umask(0o077)
        if niceness:
            os.nice(niceness)

    return before_exec


def launch(
    command: list[str], environ: Mapping[str, str], output: int | IO[bytes], *, niceness: int = 0
) -> subprocess.Popen[bytes]:
    """Start a child in a session of its own.

    Stdout and stderr go to ``output`` (a file, or ``subprocess.PIPE``).
    """
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=dict(environ),
        start_new_session=True,
        preexec_fn=tie_to_parent(niceness=niceness),  # noqa: PLW1509 (it only calls signal, prctl, umask and nice)
    )


def signal_group(pid: int, number: signal.Signals) -> None:
    """Send a signal to a child and to all that it started in its session.

    Nothing happens when none is left.
    """
    with suppress(ProcessLookupError, PermissionError):  # macOS says EPERM for a group of zombies
        os.killpg(pid, number)


def stop(process: subprocess.Popen[bytes], number: signal.Signals, deadline_s: float) -> int:
    """Stop a child: the signal, then SIGKILL to its whole group after the deadline.

    Returns its exit status.
    """
    if process.poll() is None:
        process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(deadline_s)
    signal_group(process.pid, signal.SIGKILL)
    return process.wait()
