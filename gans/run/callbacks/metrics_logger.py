"""A logger that writes metrics.csv."""

from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger

from gans.run.metrics_file import append_rows, read_rows


class MetricsLogger(Logger):
    """Appends a row for each call to a new or existing file, ``rows_in_memory`` rows at a time or with ``save``."""

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
        """Does nothing: config.yaml has them."""

    def save(self) -> None:
        if self.rows:
            self.columns = append_rows(self.path, self.columns, self.rows)
            self.written += len(self.rows)
            self.rows = []

    def finalize(self, status: str) -> None:
        self.save()
