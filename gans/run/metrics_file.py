"""metrics.csv: one row for each recorded moment of training, with ``step``, ``epoch`` and what was measured then."""

import csv
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from gans.files import write_text

Row = dict[str, Any]


def read_rows(path: Path) -> tuple[list[str], list[Row]]:
    """The columns and the complete rows of a file, cells as text; empty where nothing was measured, or there is no file."""
    if not path.exists():
        return [], []
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        reader = csv.DictReader(file)
        rows = [row for row in reader if None not in row.values()]
        return list(reader.fieldnames or []), rows


def write_rows(path: Path, columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Write a whole file."""
    write_text(path, _text(columns, [dict(zip(columns, columns, strict=True)), *rows]))


def append_rows(path: Path, columns: Sequence[str], rows: Sequence[Row]) -> list[str]:
    """Add rows to a file that has these columns; new columns make it be written anew. Returns the columns then."""
    new = dict.fromkeys(name for row in rows for name in row if name not in columns)
    if new:
        _, old = read_rows(path)
        write_rows(path, [*columns, *new], [*old, *rows])
    else:
        with path.open("a", newline="", encoding="utf-8") as file:
            file.write(_text(columns, rows))
    return [*columns, *new]


def _text(columns: Sequence[str], rows: Sequence[Row]) -> str:
    text = StringIO(newline="")
    csv.DictWriter(text, columns, restval="", lineterminator="\n").writerows(rows)
    return text.getvalue()
