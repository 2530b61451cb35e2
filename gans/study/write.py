"""The tables of a study: runs.csv, comparisons.csv and study.md."""

import csv
import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gans.files import write_text
from gans.study.analyse import StudyResult, Trouble
from gans.study.answers import answers
from gans.study.compare import Comparison
from gans.study.record import RunRecord


def write_tables(result: StudyResult, folder: Path, protocol: Sequence[str]) -> None:
    """Write the three files.

    Args:
        protocol: the lines that say how the study was made.
    """
    files = {
        "runs.csv": as_csv(run_rows(result)),
        "comparisons.csv": as_csv(comparison_rows(result)),
        "study.md": markdown(result, protocol),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        write_text(folder / name, text)


def as_csv(table: Iterable[Mapping[str, Any]]) -> str:
    """Rows with the same columns; numbers with all their digits."""
    listed = list(table)
    text = io.StringIO()
    if listed:
        writer = csv.DictWriter(text, list(listed[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(listed)
    return text.getvalue()


def run_rows(result: StudyResult) -> list[dict[str, Any]]:
    names = [merit.name for merit in result.definition.merits]
    return [
        {
            "arm": record.arm,
            "seed": record.seed,
            "state": record.state,
        }
        | {name: _number(record.figures[name]) for name in names}
        | ({} if "seconds" in names else {"seconds": round(record.seconds)})
        | {
            "diagnoses": "; ".join(f"{label} from step {step}" for label, step in record.diagnoses.items()),
            "folder": record.run.path.as_posix(),
        }
        for record in result.records
    ]


def comparison_rows(result: StudyResult) -> Iterator[dict[str, str | int | float]]:
    """comparisons.csv: a row for each arm and figure, then for each part of each claim."""
    for arm, figures in result.comparisons.items():
        for name, comparison in figures.items():
            yield _comparison_row("arm", "", arm, result.definition.baseline, comparison, comparison.verdict) | {
                "e_bh": int((arm, name) in result.discoveries)
            }
    for judged in result.claims:
        for part, comparison, state in judged.parts:
            than = result.definition.compared_with(part)
            yield _comparison_row("claim", judged.claim.text, part.arm, than, comparison, state) | {"e_bh": ""}


def _comparison_row(
    kind: str, claim: str, arm: str, than: str | float, comparison: Comparison, verdict: str
) -> dict[str, str | int | float]:
    figure = comparison.figure
    return {
        "kind": kind,
        "claim": claim,
        "figure": figure.name,
        "arm": arm,
        "than": than,
        "scale": figure.scale,
        "better": figure.better,
        "matters": figure.matters,
        "pairs": len(comparison.seeds),
        "missing": comparison.missing,
        "mean_difference": comparison.mean,
        "low": comparison.interval.low,
        "high": comparison.interval.high,
        "level": comparison.level,
        "e_value": comparison.evidence,
        "verdict": verdict,
        "seeds_needed": "" if comparison.seeds_needed is None else comparison.seeds_needed,
    }


def _number(value: float) -> float | str:
    return "" if math.isnan(value) else value


def markdown(result: StudyResult, protocol: Sequence[str]) -> str:
    """Question, answers, effects, troubles and protocol, for a README or a thesis."""
    definition = result.definition
    lines = [f"# {definition.question}", ""]
    for answer in answers(result):
        source = f" ({answer.source})" if answer.source else ""
        lines += [f"- **{answer.verdict}**: {answer.text}{source}", *(f"  - {detail}" for detail in answer.details)]
    lines += ["", f"## Against {definition.baseline}", ""]
    lines += [
        explores(result),
        "",
        *markdown_table(effects_table(result)),
    ]
    if any(result.troubles.values()):
        lines += ["", "## What went wrong", "", *markdown_table(troubles_table(result))]
    lines += ["", "## Protocol", "", *(f"- {line}" for line in protocol)]
    lines += [f"- warning: {warning}" for warning in result.warnings]
    return "\n".join(lines).replace("<", "&lt;") + "\n"  # names and questions are anybody's words, not HTML


def explores(result: StudyResult) -> str:
    """How to read the table of effects."""
    corrected = "stays after a correction for all cells of its column (e-BH, false discovery rate of 5 %)"
    beside_claims = (
        ", so that it may say better where a claim, which is judged together with the others, is still undecided"
        if result.claims
        else ""
    )
    return (
        "Each cell is a mean over pairs of the same seed, of their ratios (geometric) or differences, with its 95 % "
        f"confidence sequence. The table is exploratory: each cell stands for itself{beside_claims}. "
        + (f"* marks what {corrected}." if result.discoveries else f"No difference {corrected}.")
    )


def effects_table(result: StudyResult) -> list[list[str]]:
    merits = result.definition.merits
    table = [["arm", *(f"{merit.title} ({merit.better} is better)" for merit in merits)]]
    for arm, figures in result.comparisons.items():
        cells = []
        for merit in merits:
            comparison = figures[merit.name]
            mark = " *" if (arm, merit.name) in result.discoveries else ""
            lack = f"; missing in {comparison.missing} of the pairs" if comparison.missing else ""
            cells.append(f"{comparison.effect}, {comparison.verdict}{mark}{lack}")
        table.append([arm, *cells])
    return table


def troubles_table(result: StudyResult) -> list[list[str]]:
    labels = [trouble.label for trouble in next(iter(result.troubles.values()))]
    table = [["arm", *labels]]
    for arm, troubles in result.troubles.items():
        table.append([arm, *(trouble_text(trouble) for trouble in troubles)])
    return table


def trouble_text(trouble: Trouble) -> str:
    """ "3 of 8 runs, 1 not judged, first at step 1,200, McNemar p = 0.25"."""
    text = f"{trouble.count} of {trouble.runs} runs"
    if trouble.not_judged:
        text += f", {trouble.not_judged} not judged"
    if trouble.first_steps:
        text += f", first at step {min(trouble.first_steps):,}"
    return text if math.isnan(trouble.p_value) else f"{text}, McNemar p = {trouble.p_value:.2g}"


def markdown_table(table: Sequence[Sequence[str]]) -> list[str]:
    head, *body = [[cell.replace("|", "\\|") for cell in row] for row in table]
    return [f"| {' | '.join(head)} |", "|---" * len(head) + "|", *(f"| {' | '.join(row)} |" for row in body)]


def failures(records: Sequence[RunRecord]) -> list[str]:
    """Arm and seed of each run that a value which is not finite has ended."""
    return [f"{record.arm}, seed {record.seed}" for record in records if record.state == "failed"]
