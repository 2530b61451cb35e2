"""Recompute what the studies in docs/evidence/ found, from each one's runs.csv: ``python docs/evidence.py``.

Writes comparisons.csv of each study, and docs/evidence/README.md, which holds every number that was found. A study is a
folder with runs.csv, as ``study.py`` writes it; its definition is the file of that name in conf/study/. What surprised,
and what the numbers do not say, is written by hand in its notes.md, whose numbers tests/docs/test_notes.py computes
from the CSV files. runs_elsewhere.csv, where there is one, has the same study's runs on another machine.
"""

import csv
import math
import re
from pathlib import Path

import yaml

from gans.config.validate import check_options
from gans.study.analyse import StudyResult, Values, compare_values
from gans.study.answers import answers
from gans.study.define import StudyDefinition
from gans.study.write import as_csv, comparison_rows

ROOT = Path(__file__).resolve().parent.parent
EVIDENCE = ROOT / "docs" / "evidence"
INTRODUCTION = """# Evidence

What the studies in `conf/study/` found. Written by `python docs/evidence.py` from each study's `runs.csv`, which has a
row for every run. `study.md` has the effects on all figures, failures and the protocol; `index.html` is the page with
every run, curves and images: download it, and open it in a browser. How to read a verdict, e-values and
intervals: [studies](../studies.md#how-arms-are-compared). A claim of which no part fails and not all hold is undecided.
"""

SECOND_TIME = (
    "**A second time.** On another machine the same seeds are other runs, since the last bits of sums differ. The "
    "answers there:"
)


def definition_of(name: str) -> StudyDefinition:
    return check_options(StudyDefinition, yaml.safe_load((ROOT / "conf" / "study" / f"{name}.yaml").read_text("utf-8")))


def read_runs(folder: Path, name: str = "runs.csv") -> list[dict[str, str]]:
    with (folder / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def values_of(definition: StudyDefinition, runs: list[dict[str, str]]) -> Values:
    """Arm -> figure -> seed -> value; NaN where a run lacks it."""
    return {
        arm: {
            merit.name: {int(run["seed"]): float(run[merit.name] or math.nan) for run in runs if run["arm"] == arm}
            for merit in definition.merits
        }
        for arm in definition.all_arms
    }


def recompute(folder: Path, name: str = "runs.csv") -> StudyResult:
    definition = definition_of(folder.name)
    return compare_values(definition, values_of(definition, read_runs(folder, name)))


def summary(folders: list[Path]) -> str:
    """A row for each study: what it has cost, and what came of its claims."""
    table = [
        "| study | runs | failed | minutes of runs | claims that hold | fail | undecided |",
        "|---|---|---|---|---|---|---|",
    ]
    for folder in folders:
        result, runs = recompute(folder), read_runs(folder)
        planned = first_runs(result)
        failed = sum(run["state"] == "failed" for run in runs)
        minutes = seconds_of(runs) / 60
        verdicts = [judged.judgement for judged in result.claims]
        counts = [verdicts.count(verdict) for verdict in ("holds", "fails", "undecided")]
        question = result.definition.question
        anchor = re.sub(r"[^\w -]", "", question.lower()).replace(" ", "-")
        more = f", {len(runs) - planned} more" if len(runs) > planned else ""
        made = f"{min(len(runs), planned)} of {planned}{more}"
        cells = [f"[{question}](#{anchor})", made, failed, f"{minutes:.0f}", *counts]
        table.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(["## All studies", "", *table, ""])


def seconds_of(runs: list[dict[str, str]]) -> float:
    """What runs took together; where it is a figure of the study, runs that failed lack it."""
    return sum(float(run["seconds"] or 0) for run in runs)


def first_runs(result: StudyResult) -> int:
    """How many runs the study makes without a budget."""
    return len(result.definition.all_arms) * result.definition.seeds


def answer_lines(result: StudyResult) -> list[str]:
    lines = []
    for answer in answers(result):
        lines += [f"- **{answer.verdict}**: {answer.text}" + (f" ({answer.source})" if answer.source else "")]
        lines += [f"  - {detail}" for detail in answer.details]
    return lines


def section(folder: Path) -> str:
    """A study's question, answers and cost."""
    result, runs = recompute(folder), read_runs(folder)
    failed = sum(run["state"] == "failed" for run in runs)
    lines = [f"## {result.definition.question}", "", *answer_lines(result)]
    if (folder / "runs_elsewhere.csv").exists():
        lines += ["", SECOND_TIME, "", *answer_lines(recompute(folder, "runs_elsewhere.csv"))]
    if (notes := folder / "notes.md").exists():
        lines += ["", notes.read_text("utf-8").strip()]
    ended = f", {failed} of which a value that is not finite ended" if failed else ""
    command, more = f"python study.py study={folder.name}", len(runs) - first_runs(result)
    commands = f"`{command}`" + (f", then `{command} budget={more}`" if more > 0 else "")
    again = f"{commands}: {len(runs)} runs{ended}, {seconds_of(runs) / 60:.0f} minutes of runs in all"
    return "\n".join([*lines, "", f"{again}: [study.md]({folder.name}/study.md), [page]({folder.name}/index.html)", ""])


def pages() -> dict[Path, str]:
    """The content of every file that this script writes."""
    folders = sorted(path.parent for path in EVIDENCE.glob("*/runs.csv"))
    tables = {folder / "comparisons.csv": as_csv(comparison_rows(recompute(folder))) for folder in folders}
    return tables | {EVIDENCE / "README.md": "\n".join([INTRODUCTION, summary(folders), *map(section, folders)])}


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
        print(path)
