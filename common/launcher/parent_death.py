"""Runs a command that ends when its parent does: ``python tether.py PARENT_PID COMMAND…``.

It is a program of its own, because a threaded parent must not run Python code between fork and exec. It imports
nothing of Pressroom, so it can be started as a plain file.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def terminate_with_parent(parent: int) -> None:
    """Have the kernel send this process SIGTERM when *parent* dies; does nothing where no kernel can (macOS)."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it died before the line above
        sys.exit(1)


if __name__ == "__main__":
    terminate_with_parent(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606  (no shell is wanted)
