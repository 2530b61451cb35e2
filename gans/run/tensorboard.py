"""TensorBoard's files."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import TensorBoardLogger
from typing_extensions import override


@contextmanager
def errors_of_the_disk() -> Iterator[None]:
    """Raise what the writer raised, such as for a full disk: Lightning makes a ValueError of it."""
    try:
        yield
    except ValueError as error:
        if isinstance(error.__cause__, OSError):
            raise error.__cause__ from None
        raise


class TensorBoard(TensorBoardLogger):
    """Writes to the folder that a path names: Lightning would replace ``$HOME`` and a leading ``~`` in it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder.parent.absolute(), name="", version=folder.name, default_hp_metric=False)

    @override
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Without the epoch, but at an epoch's end: all that is written at a step would write it again."""
        is_end = any(name.startswith("epoch/") for name in metrics)
        with errors_of_the_disk():
            super().log_metrics({name: value for name, value in metrics.items() if name != "epoch" or is_end}, step)

    @override
    def log_hyperparams(self, *arguments: Any, **options: Any) -> None:
        with errors_of_the_disk():
            super().log_hyperparams(*arguments, **options)

    @property
    @override
    def log_dir(self) -> str:
        return os.path.join(self.root_dir, str(self.version))
