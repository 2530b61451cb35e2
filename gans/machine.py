"""This machine's accelerator, cores and memory allocator."""

import ctypes
import sys

import joblib
import psutil
import torch

from gans.errors import InputError

KINDS = {"gpu": ("cuda", "mps"), "cuda": ("cuda",), "mps": ("mps",)}
"""Lightning's accelerator names, with PyTorch's names of the devices; "auto" and "cpu" exist on every machine."""

MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1
"""mallopt's parameter numbers, from glibc's malloc.h."""
KEPT_BYTES = 1 << 30


def find_accelerator() -> str | None:
    """PyTorch's name of this machine's accelerator, such as "cuda"; None if it has none."""
    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return found.type if found else None


def require_accelerator(name: str) -> None:
    """Refuse an accelerator that this machine does not have, with an InputError."""
    found = find_accelerator()
    if name in KINDS and found not in KINDS[name]:
        raise InputError(
            f"trainer.accelerator={name} is not available, this machine has {found or 'no accelerator'}: use "
            "trainer.accelerator=auto or cpu for a new run; a resumed run needs the accelerator that it started on"
        )


def emulates_bfloat16(device_type: str) -> bool:
    """Whether bfloat16 is many times slower than float32: on CPUs for which oneDNN has no bfloat16 kernels, or where
    PyTorch has no oneDNN."""
    # private, but nothing public tells what oneDNN can do on this CPU
    has_kernels = torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return device_type == "cpu" and not has_kernels


def free_memory() -> int:
    """Bytes of memory that this machine has left."""
    return psutil.virtual_memory().available


def use_cores() -> None:
    """Use one thread per core that this process may use, or as many as OMP_NUM_THREADS says if these are fewer."""
    torch.set_num_threads(min(torch.get_num_threads(), joblib.cpu_count()))


def flush_denormals(on: bool = True) -> bool:
    """Count numbers closer to 0 than 1.2e-38 as 0, in this thread and those that start from now on; whether it was so.

    A network that has died, such as a saturated critic, is full of them, and they are slow: a step of such a WGAN took
    ten times as long. It is called before PyTorch starts threads, so that all of them do the same.
    """
    was_on = bool((torch.full((1,), 1e-40) * 1 == 0).all())
    torch.set_flush_denormal(on)  # False where a processor can't
    return was_on


def keep_freed_memory() -> bool:
    """Let each training step reuse the memory that the last step freed; True if this machine's allocator can.

    By default, glibc returns large blocks to the system and asks for them again, cleared page by page, in every step.
    """
    library = ctypes.CDLL(None) if sys.platform.startswith("linux") else None
    mallopt = getattr(library, "mallopt", None)  # musl has none
    # an older glibc refuses the first parameter; setting the second alone causes more page faults than neither
    return mallopt is not None and all(mallopt(each, KEPT_BYTES) == 1 for each in (MMAP_THRESHOLD, TRIM_THRESHOLD))
