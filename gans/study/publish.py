"""Write what a study found: tables, figures, the page, links for TensorBoard, and the answers on the terminal."""

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from gans.data.progress import ProgressBar
from gans.errors import InputError, warn
from gans.figures.files import one_line_for_missing_letters
from gans.files import file_name, write_text
from gans.run.folder import RunFolder
from gans.study.analyse import StudyResult
from gans.study.answers import answers
from gans.study.curves import curves_of
from gans.study.page import Commands, render
from gans.study.plots import draw_all, save
from gans.study.write import write_tables

LARGE_PAGE = 5_000_000
MADE_WITH = {"device": "device", "number format": "precision", "threads of a run": "threads", "Python": "python",
             "packages": "packages", "commit": "git"}  # fmt: skip
"""What is said of how runs were made: a name, and its key in a run's versions."""


def publish(result: StudyResult, folder: Path, commands: Commands) -> Path:
    """Write tables, figures, the page and TensorBoard's links, and print the answers."""
    with ProgressBar("writing tables, figures and the page"), one_line_for_missing_letters():
        protocol = protocol_of(result)
        write_tables(result, folder, protocol)
        curves = curves_of(result)
        figures = save(draw_all(result, curves), folder / "figures")
        page = render(result, figures, curves, protocol, commands)
    if len(page) > LARGE_PAGE:
        warn(f"the page has {len(page) / 1e6:.0f} MB: ++study.moments=5 (of a study) or fewer figures make it smaller")
    write_text(folder / "index.html", page)
    print_answers(result)
    print(f"page: {folder / 'index.html'}")
    try:
        link_tensorboard(result, folder / "tensorboard")
    except OSError as error:
        warn(f"TensorBoard's links can't be made ({error.strerror or error}): {folder / 'tensorboard'}")
    return folder / "index.html"


def print_answers(result: StudyResult) -> None:
    table = Table(title=result.definition.question, title_justify="left")
    table.add_column("verdict")
    table.add_column("")
    for answer in answers(result):
        table.add_row(answer.verdict, "\n".join([answer.text, *answer.details]))
    console = Console(width=None if sys.stdout.isatty() else 120, markup=False, emoji=False)  # names may have brackets
    console.print(table)
    for warning in result.warnings:
        warn(warning)


def link_tensorboard(result: StudyResult, folder: Path) -> None:
    """Make links to the runs' event files under readable names, for ``tensorboard --logdir``. Earlier ones go."""
    for old in folder.glob("*/seed*"):
        if old.is_symlink():
            old.unlink()
        with suppress(OSError):  # others are in use
            old.parent.rmdir()
    for record in result.records:
        link = folder / file_name(record.arm) / f"seed{record.seed}"
        link.parent.mkdir(parents=True, exist_ok=True)
        if record.run.tensorboard.is_dir():
            link.symlink_to(os.path.relpath(record.run.tensorboard.resolve(), link.parent.resolve()))


def versions_of(run: RunFolder) -> dict[str, Any]:
    """What a run was made with; nothing, with a warning, if that is damaged."""
    try:
        return run.versions or {}
    except InputError as error:
        warn(str(error))
        return {}


def protocol_of(result: StudyResult) -> list[str]:
    """What was held fixed, and what the runs were made with."""
    definition = result.definition
    finished = [record for record in result.records if record.state == "finished"] or result.records
    steps = sorted({record.run.last_step for record in finished})
    budget = f"{steps[0]:,}" if len(steps) == 1 else f"{steps[0]:,} to {steps[-1]:,}"
    elsewhere = "of the curves" if finished[0].state == "finished" else "none, since no run has finished"
    lines = [
        f"held fixed: {' '.join(definition.common) or 'all settings but those of the arms and of warnings'}; {budget} "
        "training steps. A comparison at a fixed budget favours what learns fast: see the curves",
        "figures, of the last checkpoint where nothing else is said: "
        + (", ".join(f"{name}: {full}" for name, full in result.protocols.items()) or elsewhere),
        f"smallest differences that matter: {', '.join(f'{m.title} {m.text(m.zone)}' for m in definition.merits)}",
        f"{median(record.seconds for record in finished):,.0f} seconds a run (median)",
    ]
    made = [versions_of(record.run) for record in result.records]
    for name, key in MADE_WITH.items():
        values = sorted({json.dumps(each.get(key)) for each in made if key in each})
        text = " or ".join(values).replace('"', "").replace("-dirty", " with uncommitted changes")
        lines.append(f"{name}: {text or 'not known'}")
    times = [event["time"] for record in result.records for event in record.run.history.events]
    first, last = min(times)[:10], max(times)[:10]
    lines.append(f"made on {first}" if first == last else f"made from {first} to {last}")
    return lines
