"""The cores of this machine that a process may run on, and the threads of a session that is to use them all."""

from __future__ import annotations

import os

AS_MANY = 0
"""Number of threads for which ONNX Runtime takes one for each core of the machine."""


def bound_cores() -> frozenset[int]:
    """The numbers of the cores of this machine that this process may run on."""
    return frozenset(os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1))


def available_cores() -> int:
    """How many cores of this machine this process may run on."""
    return len(bound_cores())


def threads_of_all() -> int:
    """Threads of a session for all cores of this process.

    ONNX Runtime's own number counts the cores of the machine and puts a thread on each, even where the process was
    bound to fewer (``taskset``, the cpuset of a container): there it would take those of others.
    """
    cores = available_cores()
    return cores if cores < (os.cpu_count() or 1) else AS_MANY
