"""metrics.csv: one row per recorded training step, with ``step``, ``epoch`` and the values measured there."""

import csv
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from gans.files import write_text

Row = dict[str, Any]


def read_rows(path: Path) -> tuple[list[str], list[Row]]:
    """The columns and the complete rows, with cells as text; a missing file has none. Missing values are empty.

    A last line without its end was cut off, perhaps inside a number.
    """
    if not path.exists():
        return [], []
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        lines = (line for index, line in enumerate(file) if index == 0 or line.endswith("\n"))
        reader = csv.DictReader(line.replace("\0", "") for line in lines)
        rows = [row for row in reader if None not in row and None not in row.values()]
        return list(reader.fieldnames or []), rows


def write_rows(path: Path, columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Write a new file."""
    write_text(path, _text(columns, [dict(zip(columns, columns, strict=True)), *rows]))


def append_rows(path: Path, columns: Sequence[str], rows: Sequence[Row]) -> list[str]:
    """Append rows to a file with these columns, and return its columns. New columns rewrite the file."""
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
