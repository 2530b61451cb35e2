"""Whether this machine has the device that was asked for."""

from gans.errors import InputError

KINDS = {"gpu": ("cuda", "mps"), "cuda": ("cuda",), "mps": ("mps",)}
"""PyTorch's names of what each of Lightning's accelerators may be; "auto" and "cpu" are everywhere."""


def require_accelerator(name: str) -> None:
    """Refuse an accelerator that there is not.

    Raises:
        InputError: saying what to use.
    """
    if name not in KINDS:
        return
    import torch  # noqa: PLC0415, other wrong values are answered without it

    found = torch.accelerator.current_accelerator(check_available=True)
    if found is None or found.type not in KINDS[name]:
        has = f"only {found.type}" if found else "none"
        raise InputError(
            f"trainer.accelerator={name} is not here: of GPUs and the like, PyTorch finds {has}. Use "
            "trainer.accelerator=auto, which takes what there is, or trainer.accelerator=cpu"
        )
