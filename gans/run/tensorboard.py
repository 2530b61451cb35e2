"""TensorBoard's files."""

import os
from collections.abc import Mapping
from pathlib import Path

from lightning.pytorch.loggers import TensorBoardLogger
from typing_extensions import override


class TensorBoard(TensorBoardLogger):
    """Writes to the folder that a path names: Lightning would replace ``$HOME`` and a leading ``~`` in it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder.parent.absolute(), name="", version=folder.name, default_hp_metric=False)

    @override
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Without the epoch, but at an epoch's end: all that is written at a step would write it again."""
        is_end = any(name.startswith("epoch/") for name in metrics)
        super().log_metrics({name: value for name, value in metrics.items() if name != "epoch" or is_end}, step)

    @property
    @override
    def log_dir(self) -> str:
        return os.path.join(self.root_dir, str(self.version))
