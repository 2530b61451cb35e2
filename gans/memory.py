"""How the process keeps its memory."""

import ctypes
import sys
from collections.abc import Callable

MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1
"""Parameters of mallopt, from glibc's malloc.h."""
KEPT = 1 << 30
"""Bytes: blocks up to this size are reused, and up to as much free memory at the end of the heap is not given back."""


def keep_freed_memory() -> bool:
    """Let the memory that one training step frees be there for the next.

    glibc gives large blocks back to the system and gets them again, cleared page by page, in every step. Elsewhere
    nothing changes.

    Returns:
        Whether it was so arranged.
    """
    mallopt = _of_glibc("mallopt")
    # an older glibc refuses the first, and the second alone makes more page faults than neither
    return mallopt is not None and all(mallopt(each, KEPT) == 1 for each in (MMAP_THRESHOLD, TRIM_THRESHOLD))


def give_freed_memory_back() -> bool:
    """Give the system back all free memory, what was kept too: after work that takes more than a training step does.

    The next step takes again what it needs.

    Returns:
        Whether there was any.
    """
    malloc_trim = _of_glibc("malloc_trim")
    return malloc_trim is not None and malloc_trim(0) == 1


def _of_glibc(name: str) -> Callable[..., int] | None:
    """A function of the allocator; None where the system has another one."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform.startswith("linux") else None  # musl has neither
