"""Whether this machine has the device that was asked for."""

from typing import Any

from gans.errors import InputError

KINDS = {"gpu": ("cuda", "mps"), "cuda": ("cuda",), "mps": ("mps",)}
"""PyTorch's names of what each of Lightning's accelerators may be; "auto" and "cpu" are everywhere."""


def require_accelerator(name: Any) -> None:
    """Refuse an accelerator that there is not; what is no accelerator's name is for others to refuse.

    Raises:
        InputError: saying what to use.
    """
    kinds = KINDS.get(name) if isinstance(name, str) else None
    if kinds is None:
        return
    import torch  # noqa: PLC0415, other wrong values are answered without it

    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if found is None or found.type not in kinds:
        has = f"only {found.type}" if found else "none"
        raise InputError(
            f"trainer.accelerator={name} is not here: of GPUs and the like, PyTorch finds {has}. A new run can "
            "have trainer.accelerator=auto, which takes what there is, or cpu; one that exists keeps its own"
        )
