"""The files that grow while a run trains: how far they were at a checkpoint, and truncated to there."""

import os
import sys
from typing import Any

from lightning.pytorch.loggers import Logger
from pydantic import BaseModel, NonNegativeInt

from gans.config.validate import check_options
from gans.run.callbacks.metrics_logger import MetricsLogger
from gans.run.folder import RunFolder
from gans.run.metrics_file import read_rows, write_rows


class FilePositions(BaseModel):
    """How far the files were at a checkpoint."""

    rows: NonNegativeInt
    """Of metrics.csv."""
    events: dict[str, NonNegativeInt]
    """The size in bytes of each TensorBoard file, by name."""


def file_positions(run: RunFolder, loggers: list[Logger]) -> dict[str, Any]:
    """How far the files are once the loggers have written everything, as plain values: see ``FilePositions``."""
    for logger in loggers:
        logger.save()
    rows = next((logger.written for logger in loggers if isinstance(logger, MetricsLogger)), 0)
    events = {path.name: path.stat().st_size for path in run.tensorboard.glob("*tfevents*")}
    return FilePositions(rows=rows, events=events).model_dump()


def truncate_after(run: RunFolder, positions: dict[str, Any]) -> None:
    """Drop what was written after a checkpoint: a run that is resumed from there writes it again.

    A warning names what the checkpoint has seen and is lost.
    """
    seen = check_options(FilePositions, positions)
    columns, rows = read_rows(run.metrics_file)
    if len(rows) < seen.rows:
        _warn(f"'{run.metrics_file}' has only {len(rows)} of {seen.rows} rows: its curves have a gap")
    if columns:
        write_rows(run.metrics_file, columns, rows[: seen.rows])
    for path in run.tensorboard.glob("*tfevents*"):
        size = seen.events.pop(path.name, 0)
        if path.stat().st_size < size:
            _warn(f"'{path}' has lost its end: TensorBoard's curves have a gap")
        elif size:
            os.truncate(path, size)
        else:
            path.unlink()
    for name in seen.events:
        _warn(f"'{run.tensorboard / name}' is lost: TensorBoard's curves have a gap")


def _warn(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr)
