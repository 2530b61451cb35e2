"""The page of a study: one HTML file without links to a network. JavaScript adds comfort; all is there without it."""

import base64
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from numpy.typing import NDArray

from gans.errors import InputError, warn
from gans.study.analyse import StudyResult
from gans.study.answers import answers
from gans.study.images import Strip, on_one_scale, strip_of
from gans.study.plots import ArmStyle, Curves, curve_title, inline, median, style_of
from gans.study.record import RunRecord
from gans.study.words import glossary
from gans.study.write import as_csv, effects_table, explores, failures, run_rows, troubles_table

FILES = Path(__file__).parent / "page_files"
IMAGES_BYTES = 3_000_000
"""About how much of a page its images may take."""


@dataclass(frozen=True)
class Commands:
    """The commands that a page shows; each can be pasted into a shell. Of runs that exist there is only the first."""

    again: str
    more_seeds: str = ""
    arms: Mapping[str, str] = field(default_factory=dict)


def render(
    result: StudyResult, figures: Mapping[str, str], curves: Curves, protocol: Sequence[str], commands: Commands
) -> str:
    """The page as HTML.

    Args:
        figures: each figure as SVG, by name.
    """
    environment = Environment(loader=FileSystemLoader(FILES), autoescape=True, undefined=StrictUndefined)
    return environment.get_template("template.html.j2").render(
        **of_answers(result),
        **of_figures(result, figures, curves),
        **of_images(result),
        **of_runs(result),
        **of_commands(result, commands),
        protocol=protocol,
        data=script_data(result, curves),
        css=_file("page.css"),
        js=_file("page.js"),
        uplot_js=_file("uPlot.iife.min.js"),
        uplot_css=_file("uPlot.min.css"),
    )


def of_answers(result: StudyResult) -> dict[str, Any]:
    return {
        "question": result.definition.question,
        "summary": summary_of(result),
        "warnings": result.warnings,
        "answers": answers(result),
        "how_sure": how_sure(result),
        "glossary": glossary(result),
    }


def of_figures(result: StudyResult, figures: Mapping[str, str], curves: Curves) -> dict[str, Any]:
    return {
        "baseline": result.definition.baseline,
        "effects": _svgs(figures, "effects_"),
        "effects_table": effects_table(result),
        "explores": explores(result),
        "run_dots": _svgs(figures, "runs_"),
        "has_floors": any(record.floors for record in result.records),
        "curves": _svgs(figures, "curves_"),
        "curve_titles": [(name, curve_title(name)) for name in curves],
    }


def of_images(result: StudyResult) -> dict[str, Any]:
    strips = choose_strips(result)
    seeds = sorted({record.seed for record, _ in strips})
    return {
        "strips": [_strip(record, strip) for record, strip in strips],
        "strip_seeds": seeds,
        "strips_left_out": len(seeds) < len({record.seed for record in result.records}),
        "moments": max((len(strip.steps) for _, strip in strips), default=1),
    }


def of_runs(result: StudyResult) -> dict[str, Any]:
    table = run_rows(result)
    titles = {merit.name: merit.title for merit in result.definition.merits}
    return {
        "troubles_table": troubles_table(result) if any(result.troubles.values()) else [],
        "failed": failures(result.records),
        "run_count": len(result.records),
        "run_columns": [titles.get(name, name) for name in table[0]] if table else [],
        "run_table": [[_cell(value) for value in row.values()] for row in table],
        "csv_url": f"data:text/csv;base64,{base64.b64encode(as_csv(table).encode()).decode()}",
    }


def of_commands(result: StudyResult, commands: Commands) -> dict[str, Any]:
    styles = {arm: style_of(result, arm) for arm in result.definition.all_arms}
    arms = [
        {
            "name": arm,
            "colour": style.colour,
            "sign": style.sign,
            "line": line_css(style),
            "command": commands.arms.get(arm, ""),
        }
        for arm, style in styles.items()
    ]
    return {"arms": arms, "command": commands.again, "more_seeds": commands.more_seeds}


def line_css(style: ArmStyle) -> str:
    """A piece of an arm's line as a CSS background."""
    ends = [0, *accumulate(style.dashes)]
    colours = [(style.colour, "transparent")[number % 2] for number in range(len(ends) - 1)]
    stops = [f"{colour} {start}px {end}px" for colour, (start, end) in zip(colours, pairwise(ends), strict=True)]
    return f"repeating-linear-gradient(90deg, {', '.join(stops)})" if stops else style.colour


def summary_of(result: StudyResult) -> str:
    seeds = [len(result.of_arm(arm)) for arm in result.definition.all_arms]
    each = f"{min(seeds)}" if min(seeds) == max(seeds) else f"{min(seeds)} to {max(seeds)}"
    failed = sum(record.state == "failed" for record in result.records)
    return (
        f"{len(seeds)} arms ({'; '.join(result.definition.all_arms)}) with {each} seeds each, {len(result.records)} "
        "runs"
        + (f", of which {failed} ended in a value that is not finite" if failed else "")
        + ". Arms are compared in pairs of the same seed, which gives the same data, initial weights and latents "
        "wherever their settings allow it."
    )


def how_sure(result: StudyResult) -> str:
    if result.claims:
        return (
            "Claims were written down before the runs. With a probability of 95 % or more none of those that are said "
            "to hold is wrong, however often one looked and added seeds; this does not hold for the tables below. "
            "Undecided means that these runs can't tell yet."
        )
    return (
        "Nothing was claimed beforehand, so this explores: each comparison has a false alarm with a probability of at "
        "most 5 %, however often one looked and added seeds."
    )


def choose_strips(result: StudyResult) -> list[tuple[RunRecord, Strip]]:
    """The pictures of as many seeds as fit the page, at least of one; seeds that every arm has come first."""
    chosen: list[tuple[RunRecord, Strip]] = []
    seeds = sorted({record.seed for record in result.records})
    counts = {seed: sum(record.seed == seed for record in result.records) for seed in seeds}
    size = 0
    for seed in sorted(seeds, key=lambda seed: (-counts[seed], seed)):
        of_seed = [record for record in result.records if record.seed == seed]
        found = [(record, strip) for record in of_seed if (strip := read_strip(record, result.definition.moments))]
        size += sum(len(strip.picture) for _, strip in found)
        if chosen and size > IMAGES_BYTES:
            break
        chosen += found
    strips = on_one_scale([strip for _, strip in chosen])
    return [(record, strip) for (record, _), strip in zip(chosen, strips, strict=True)]


def read_strip(record: RunRecord, moments: int) -> Strip | None:
    """A run's pictures; None for one that has none, or damaged ones, with a warning."""
    try:
        return strip_of(record.run, moments)
    except InputError as error:
        warn(f"pictures of {record.arm}, seed {record.seed}, are left out: {error}")
        return None


def script_data(result: StudyResult, curves: Curves) -> str:
    """The curves as JSON that may stand inside a script element."""
    data: dict[str, Any] = {"curves": {}}
    for name, (steps, of_arms) in curves.items():
        arms = []
        for arm, values in of_arms.items():
            seeds = [record.seed for record in result.of_arm(arm) if name in record.run.curves]
            runs = [{"seed": seed, "values": _rounded(row)} for seed, row in zip(seeds, values, strict=True)]
            style = style_of(result, arm)
            arms.append(
                {
                    "name": arm,
                    "colour": style.colour,
                    "dash": style.dashes,
                    "runs": runs,
                    "median": _rounded(median(values)),
                }
            )
        data["curves"][name] = {"steps": [int(step) for step in steps], "arms": arms}
    return json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _rounded(values: NDArray[numpy.float64]) -> list[float | int | None]:
    """Numbers of five digits; None for those that are not finite."""
    texts = [f"{value:.5g}" if math.isfinite(value) else None for value in values.tolist()]
    numbers = [None if text is None else float(text) for text in texts]
    return [int(number) if number is not None and number.is_integer() else number for number in numbers]


def _strip(record: RunRecord, strip: Strip) -> dict[str, Any]:
    last = -100 * (len(strip.steps) - 1) / len(strip.steps)
    height, width = strip.pixels.shape[:2]
    return {
        "arm": record.arm,
        "seed": record.seed,
        "steps": json.dumps(strip.steps),
        "width": width,
        "height": height // len(strip.steps),
        "picture": strip.picture,
        "last": f"{last:.4f}",
        "last_step": f"{strip.steps[-1]:,}",
    }


def _cell(value: Any) -> dict[str, Any]:
    text = value
    if isinstance(value, float):
        text = f"{value:,.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"
    return {"number": isinstance(value, int | float), "value": value, "text": text}


def _svgs(figures: Mapping[str, str], prefix: str) -> list[str]:
    return [inline(svg) for name, svg in figures.items() if name.startswith(prefix)]


def _file(name: str) -> str:
    return (FILES / name).read_text(encoding="utf-8")
