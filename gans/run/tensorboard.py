"""TensorBoard's files."""

import os
from pathlib import Path

from lightning.pytorch.loggers import TensorBoardLogger
from typing_extensions import override


class TensorBoard(TensorBoardLogger):
    """Writes to the folder that a path names: Lightning would replace ``$HOME`` and a leading ``~`` in it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder.parent.absolute(), name="", version=folder.name, default_hp_metric=False)

    @property
    @override
    def log_dir(self) -> str:
        return os.path.join(self.root_dir, str(self.version))
