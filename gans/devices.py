"""Whether this machine has the device that was asked for, and whether it is good at what it is asked."""

import sys
from pathlib import Path
from typing import Any

from gans.errors import InputError

KINDS = {"gpu": ("cuda", "mps"), "cuda": ("cuda",), "mps": ("mps",)}
"""PyTorch's names of what each of Lightning's accelerators may be; "auto" and "cpu" are everywhere."""

SIGNS = ("dev/nvidia*", "dev/nvhost*", "dev/nvmap", "dev/kfd", "dev/dxg", "proc/driver/nvidia", "sys/module/nvidia")
"""One of these files at least is there where Linux has a GPU for PyTorch whose driver is loaded: NVIDIA's, its
Jetson's, AMD's, Windows' own."""

NVIDIA = "0x10de"
"""As the vendor of a device on the PCI bus, whose driver may be loaded no sooner than a program asks for it."""


def find_accelerator() -> str | None:
    """PyTorch's name of this machine's GPU or the like, such as "cuda"; None where there is none.

    PyTorch is asked, unless that would take its import, which takes seconds, and no file of Linux speaks of one.
    """
    if "torch" not in sys.modules and sys.platform == "linux" and not speaks_of_gpu(Path("/")):
        return None
    import torch  # noqa: PLC0415, where there is no GPU the answer must not wait for it

    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return found.type if found else None


def emulates_bfloat16(device_type: str) -> bool:
    """Whether products in bfloat16 take many times as long as in float32 there: on a CPU for which oneDNN has none."""
    import torch  # noqa: PLC0415, wrong options are answered through this module, and must not wait for it

    has_library = device_type == "cpu" and torch.backends.mkldnn.is_available()
    return has_library and not torch.ops.mkldnn._is_mkldnn_bf16_supported()


def speaks_of_gpu(root: Path) -> bool:
    """Whether a file of Linux says that there is a GPU, or may be.

    Args:
        root: of the file system.
    """
    if any(any(root.glob(name)) for name in SIGNS):
        return True
    vendors = root.glob("sys/bus/pci/devices/*/vendor")
    return any(vendor.read_text(encoding="ascii").strip() == NVIDIA for vendor in vendors)


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
