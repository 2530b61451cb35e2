"""The files of a run that grow while it trains: how far they were at a checkpoint, and cut back to there."""

import os
import sys
import zlib
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from pydantic import BaseModel, NonNegativeInt

from gans.checking import validated
from gans.metrics_file import MetricsFile, read_rows, write_rows

METRICS = "metrics.csv"
EVENTS = "tensorboard"


class Seen(BaseModel):
    """What a checkpoint keeps of how far the files were."""

    rows: NonNegativeInt
    """Of metrics.csv."""
    events: dict[str, tuple[NonNegativeInt, NonNegativeInt]]
    """Size and CRC-32 of each TensorBoard file, by name."""


class Records:
    """Measures how far the files are; what was measured before is not read again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._events: dict[str, tuple[int, int]] = {}

    def measure(self, loggers: list[Logger]) -> dict[str, Any]:
        """How far the files are once the loggers have written all, as plain values: see ``Seen``."""
        rows = 0
        for logger in loggers:
            logger.save()
            if isinstance(logger, MetricsFile):
                rows = logger.written
        for path in _event_files(self.folder):
            self._events[path.name] = _checksum(path, path.stat().st_size, *self._events.get(path.name, (0, 0)))
        return Seen(rows=rows, events=self._events).model_dump()


def cut_back(folder: Path, records: dict[str, Any]) -> None:
    """Drop what was written after a checkpoint: a run that goes on from there writes it again.

    Where something is missing that the checkpoint has seen, a line says so.
    """
    seen = validated(Seen, records)
    columns, rows = read_rows(folder / METRICS)
    if len(rows) < seen.rows:
        _warn(f"'{folder / METRICS}' has only {len(rows)} of {seen.rows} rows: its curves have a gap")
    if columns:
        write_rows(folder / METRICS, columns, rows[: seen.rows])
    lost = dict(seen.events)
    for path in _event_files(folder):
        size, checksum = lost.pop(path.name, (0, 0))
        if size == 0:
            path.unlink()
        elif path.stat().st_size >= size and _checksum(path, size) == (size, checksum):
            os.truncate(path, size)
        else:
            aside = path.with_name(f"damaged.{path.name.replace('tfevents', 'events')}")  # TensorBoard passes it over
            path.rename(aside)
            _warn(f"'{path}' is damaged, and set aside as '{aside.name}': TensorBoard's curves have a gap")
    for name in lost:
        _warn(f"'{name}' is lost from '{folder / EVENTS}': TensorBoard's curves have a gap")


def _event_files(folder: Path) -> list[Path]:
    return sorted((folder / EVENTS).glob("*tfevents*"))


def _checksum(path: Path, size: int, start: int = 0, checksum: int = 0) -> tuple[int, int]:
    """The size, and the CRC-32 of so many bytes of a file, given that of its first ``start`` bytes."""
    with path.open("rb") as file:
        file.seek(start)
        return size, zlib.crc32(file.read(size - start), checksum)


def _warn(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr)
