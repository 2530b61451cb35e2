"""Whether this machine has the device that was asked for, and whether it is good at what it is asked."""

import sys
from pathlib import Path
from typing import Any

from gans.errors import InputError

KINDS = {"gpu": ("cuda", "mps"), "cuda": ("cuda",), "mps": ("mps",)}
"""PyTorch's names of what each of Lightning's accelerators may be; "auto" and "cpu" are everywhere."""

DEVICE_FILES = ("nvidia*", "nvhost*", "nvmap", "kfd", "dxg")
"""In /dev, one of them at least where Linux has a GPU for PyTorch: NVIDIA's, its Jetson's, AMD's and Windows' own."""


def find_accelerator() -> str | None:
    """PyTorch's name of this machine's GPU or the like, such as "cuda"; None where there is none.

    That is answered without PyTorch, whose import takes seconds, where no device file speaks of one.
    """
    if sys.platform == "linux" and not any(any(Path("/dev").glob(name)) for name in DEVICE_FILES):
        return None
    import torch  # noqa: PLC0415, see above

    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return found.type if found else None


def emulates_bfloat16(device_type: str) -> bool:
    """Whether products in bfloat16 take many times as long as in float32 there: on a CPU with AVX2 and no AVX-512."""
    import torch  # noqa: PLC0415, see above

    return device_type == "cpu" and torch.backends.cpu.get_cpu_capability() == "AVX2"


def require_accelerator(name: Any) -> None:
    """Refuse an accelerator that there is not; what is no accelerator's name is for others to refuse.

    Raises:
        InputError: saying what to use.
    """
    kinds = KINDS.get(name) if isinstance(name, str) else None
    if kinds is None:
        return
    found = find_accelerator()
    if found not in kinds:
        has = f"only {found}" if found else "none"
        raise InputError(
            f"trainer.accelerator={name} is not here: of GPUs and the like there is {has}. A new run can "
            "have trainer.accelerator=auto, which takes what there is, or cpu; one that exists keeps its own"
        )
