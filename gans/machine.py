"""What this machine has, and how a process uses it."""

import ctypes
import sys

import joblib
import torch

from gans.errors import InputError

KINDS = {"gpu": ("cuda", "mps"), "cuda": ("cuda",), "mps": ("mps",)}
"""PyTorch's names of what each of Lightning's accelerators may be; "auto" and "cpu" are everywhere."""

MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1
"""Parameters of mallopt, from glibc's malloc.h."""
KEPT_BYTES = 1 << 30


def find_accelerator() -> str | None:
    """PyTorch's name of this machine's GPU or the like, such as "cuda"; None where there is none."""
    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return found.type if found else None


def require_accelerator(name: str) -> None:
    """Refuse an accelerator that this machine does not have.

    Raises:
        InputError: saying what to use.
    """
    found = find_accelerator()
    if name in KINDS and found not in KINDS[name]:
        has = f"only {found}" if found else "none"
        raise InputError(
            f"trainer.accelerator={name} is not here: of GPUs and the like there is {has}. A new run can "
            "have trainer.accelerator=auto, which takes what there is, or cpu; one that exists keeps its own"
        )


def emulates_bfloat16(device_type: str) -> bool:
    """Whether bfloat16 is many times slower than float32 there: on a CPU for which oneDNN has no bfloat16 kernels."""
    has_library = device_type == "cpu" and torch.backends.mkldnn.is_available()
    return has_library and not torch.ops.mkldnn._is_mkldnn_bf16_supported()


def use_cores(processes: int = 1) -> None:
    """Use as many threads as this process's share of the cores, or fewer if OMP_NUM_THREADS says so.

    PyTorch starts one for each core of the machine, even in a container that may use only some of them.

    Args:
        processes: how many share the cores.
    """
    torch.set_num_threads(max(1, min(torch.get_num_threads(), joblib.cpu_count() // processes)))


def keep_freed_memory() -> bool:
    """Let a training step reuse the memory that the step before freed; True if this machine's allocator can.

    glibc returns large blocks to the system and gets them again, cleared page by page, in every step.
    """
    library = ctypes.CDLL(None) if sys.platform.startswith("linux") else None
    mallopt = getattr(library, "mallopt", None)  # musl has none
    # an older glibc refuses the first parameter, and the second alone makes more page faults than neither
    return mallopt is not None and all(mallopt(each, KEPT_BYTES) == 1 for each in (MMAP_THRESHOLD, TRIM_THRESHOLD))
