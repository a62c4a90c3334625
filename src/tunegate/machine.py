"""What this machine has and what this process took of it: memory, cores, the processor's name. Needs no library."""

import contextlib
import os
import platform
import resource
import sys
from pathlib import Path

_ROOT = Path("/")
"""Where /proc and /sys are."""


def memory_limit(root: Path = _ROOT) -> int:
    """The bytes of memory that this process may have: the machine's, or fewer where its control group says so.

    Containers set the limit there (cgroup v2, `memory.max` of the process's group and of those above it).
    """
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for line in _lines(root / "proc/self/cgroup"):
        if line.startswith("0::"):
            own = root / "sys/fs/cgroup" / line.removeprefix("0::").lstrip("/")
            limits += [limit for folder in (own, *own.parents) if (limit := _number(folder / "memory.max"))]
    return min(limits)


def free_memory(root: Path = _ROOT) -> int:
    """The bytes of memory that this process could still take without swapping, at most its `memory_limit`."""
    free = [int(line.split()[1]) * 1024 for line in _lines(root / "proc/meminfo") if line.startswith("MemAvailable:")]
    return min([*free, memory_limit(root)])


def peak_memory() -> int:
    """The most bytes of memory that this process has had since its start."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KiB, macOS in bytes.
    return peak if sys.platform == "darwin" else peak * 1024


def cores() -> int:
    """How many processors this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor(root: Path = _ROOT) -> str:
    """The processor's model as the system names it, or the architecture where it does not."""
    names = [line.partition(":")[2].strip() for line in _lines(root / "proc/cpuinfo") if line.startswith("model name")]
    return next(filter(None, names), platform.processor() or platform.machine())


def _lines(path: Path) -> list[str]:
    with contextlib.suppress(OSError):
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    return []


def _number(path: Path) -> int | None:
    with contextlib.suppress(OSError, ValueError):  # "max" means that there is none
        return int(path.read_text(encoding="ascii"))
    return None
