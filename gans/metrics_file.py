"""metrics.csv: one row per recorded moment, appended as training goes."""

import csv
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from typing_extensions import override

from gans.files import write_text


class MetricsFile(Logger):
    """Rows of ``step``, ``epoch`` and whatever was measured then; cells are empty where nothing was.

    Written every ``rows_in_memory`` rows and whenever ``save`` is called. A file that exists is gone on with. A new
    column makes the file be written anew, as a whole.
    """

    name = "metrics"
    version = ""

    def __init__(self, path: Path, rows_in_memory: int = 50) -> None:
        super().__init__()
        self.path = path
        self.rows_in_memory = rows_in_memory
        self.columns, old = read_rows(path)
        self.written = len(old)
        self.rows: list[dict[str, Any]] = []

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.rows.append({"step": step, **metrics})
        if len(self.rows) >= self.rows_in_memory:
            self.save()

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """config.yaml holds them."""

    def save(self) -> None:
        if not self.rows:
            return
        new = dict.fromkeys(name for row in self.rows for name in row if name not in self.columns)
        if new:
            self.columns = [*self.columns, *new]
            _, old = read_rows(self.path)
            write_rows(self.path, self.columns, [*old, *self.rows])
        else:
            with self.path.open("a", newline="", encoding="utf-8") as file:
                file.write(_text(self.columns, self.rows))
        self.written += len(self.rows)
        self.rows = []

    @override
    def finalize(self, status: str) -> None:
        self.save()


def read_rows(path: Path) -> tuple[list[str], list[dict[str, Any]]]:
    """The columns and the whole rows of a file; none where there is no file."""
    if not path.exists():
        return [], []
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        reader = csv.DictReader(file)
        rows = [row for row in reader if None not in row.values()]
        return list(reader.fieldnames or []), rows


def write_rows(path: Path, columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> None:
    """Write a file as a whole."""
    write_text(path, _text(columns, [dict(zip(columns, columns, strict=True)), *rows]))


def _text(columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> str:
    text = StringIO(newline="")
    csv.DictWriter(text, columns, restval="", lineterminator="\n").writerows(rows)
    return text.getvalue()
