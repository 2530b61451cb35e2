"""Small GANs, the techniques that stabilize them, and the evidence for which technique helps which GAN.

The names below are for use from Python: docs/python.md. They are imported when first used, since PyTorch takes seconds.
"""

import os
from typing import TYPE_CHECKING, Any

if "OMP_WAIT_POLICY" not in os.environ:  # both are read when PyTorch is imported
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # threads that spin for longer keep others from working

if TYPE_CHECKING:
    from gans.run.api import (
        Config,
        Generator,
        InputError,
        InterruptedTraining,
        Run,
        TrainingError,
        compose,
        load,
        resume,
        train,
    )

__all__ = [
    "Config",
    "Generator",
    "InputError",
    "InterruptedTraining",
    "Run",
    "TrainingError",
    "compose",
    "load",
    "resume",
    "train",
]

if not TYPE_CHECKING:  # else every name would be an attribute for type checkers

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from gans.run import api

        return getattr(api, name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
