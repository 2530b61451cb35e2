"""Brings a run folder back to a checkpoint.

TensorBoard's own ``purge_step`` is not enough: an evaluation that follows the checkpoint has the checkpoint's step, and
its points would be shown twice. So the event files are truncated.
"""

import os
from typing import Any

from lightning.pytorch.loggers import Logger
from pydantic import BaseModel, NonNegativeInt

from gans.config.validate import check_options
from gans.errors import warn
from gans.run.callbacks.metrics_logger import MetricsLogger
from gans.run.checkpoint_files import delete_best_from
from gans.run.folder import RunFolder
from gans.run.metrics_file import read_rows, write_rows


class FilePositions(BaseModel):
    """The sizes of the files at a checkpoint."""

    rows: NonNegativeInt
    """The rows of metrics.csv."""
    events: dict[str, NonNegativeInt]
    """The bytes of each TensorBoard file, by name."""


def file_positions(run: RunFolder, loggers: list[Logger]) -> dict[str, Any]:
    """Write what the loggers hold to the disk, and return the current ``FilePositions`` as plain values."""
    for logger in loggers:
        logger.save()
    for path in [run.metrics_file, *run.tensorboard.glob("*tfevents*")]:
        if path.exists():
            with path.open("r+b") as file:  # Windows asks for the right to write
                os.fsync(file.fileno())  # a checkpoint outlives a power failure, and so must what it counts on
    rows = next((logger.written for logger in loggers if isinstance(logger, MetricsLogger)), 0)
    events = {path.name: path.stat().st_size for path in run.tensorboard.glob("*tfevents*")}
    return FilePositions(rows=rows, events=events).model_dump()


def rewind(run: RunFolder, checkpoint: dict[str, Any]) -> None:
    """Bring the run folder back to a checkpoint."""
    positions = check_options(FilePositions, checkpoint["file_positions"])
    delete_best_from(run.checkpoints, checkpoint["training_steps"])
    run.delete_grids_after(checkpoint["training_steps"])
    truncate_after(run, positions)


def truncate_after(run: RunFolder, expected: FilePositions) -> None:
    """Remove everything written after a checkpoint. A run that resumes from it writes it again.

    Prints a warning for contents from before the checkpoint that are missing.
    """
    columns, rows = read_rows(run.metrics_file)
    if "step" not in columns:  # the file is lost or damaged
        run.metrics_file.unlink(missing_ok=True)
        columns, rows = [], []
    if len(rows) < expected.rows:
        warn(f"'{run.metrics_file}' has only {len(rows)} of {expected.rows} rows: its curves have a gap")
    if columns:
        write_rows(run.metrics_file, columns, rows[: expected.rows])
    for path in run.tensorboard.glob("*tfevents*"):
        size = expected.events.pop(path.name, 0)
        if path.stat().st_size < size:
            warn(f"'{path}' has lost its end: TensorBoard's curves have a gap")
        elif size:
            os.truncate(path, size)
        else:
            path.unlink()
    for name in expected.events:
        warn(f"'{run.tensorboard / name}' is lost: TensorBoard's curves have a gap")
