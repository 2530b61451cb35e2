"""How the process keeps its memory."""

import ctypes
import sys

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
    if not sys.platform.startswith("linux"):
        return False
    # an older glibc refuses the first, and the second alone makes more page faults than neither
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    return mallopt is not None and all(mallopt(each, KEPT) == 1 for each in (MMAP_THRESHOLD, TRIM_THRESHOLD))
