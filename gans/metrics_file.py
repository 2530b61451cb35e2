"""metrics.csv: one row per recorded moment, appended as training goes."""

import csv
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger


class MetricsFile(Logger):
    """Rows of ``step``, ``epoch`` and whatever was measured then; cells are empty where nothing was.

    Written every ``rows_in_memory`` rows and whenever ``save`` is called. A file that exists is gone on with, but rows
    of steps after ``from_step`` are dropped: they belong to a future that a resumed run lives again.
    """

    name = "metrics"
    version = ""

    def __init__(self, path: Path, from_step: int = 0, rows_in_memory: int = 50) -> None:
        super().__init__()
        self.path = path
        self.rows_in_memory = rows_in_memory
        self.columns: list[str] = []
        self.rows: list[dict[str, Any]] = []
        if path.exists():
            with path.open(newline="", encoding="utf-8") as file:
                reader = csv.DictReader(file)
                self.rows = [row for row in reader if int(row["step"]) <= from_step]
                self.columns = list(reader.fieldnames or [])
            self._rewrite()

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.rows.append({"step": step, **metrics})
        if len(self.rows) >= self.rows_in_memory:
            self.save()

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """config.yaml holds them."""

    def save(self) -> None:
        if not self.rows:
            return
        new = [name for row in self.rows for name in row if name not in self.columns]
        if new:
            self.columns += dict.fromkeys(new)
            if self.path.exists():
                with self.path.open(newline="", encoding="utf-8") as file:
                    self.rows = [*csv.DictReader(file), *self.rows]
            self._rewrite()
        else:
            self._write("a")

    def finalize(self, status: str) -> None:  # noqa: ARG002
        self.save()

    def _rewrite(self) -> None:
        self._write("w", header=True)

    def _write(self, mode: str, *, header: bool = False) -> None:
        with self.path.open(mode, newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self.columns, restval="")
            if header:
                writer.writeheader()
            writer.writerows(self.rows)
        self.rows = []
