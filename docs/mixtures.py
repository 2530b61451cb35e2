"""A table of runs on points, in Markdown, from their folders: ``python docs/mixtures.py runs``. It skips other runs.

Runs whose result settings differ in nothing but the seed are one row: the mean over them, and its standard error.
"""

import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy

from gans.config.resolve import flatten
from gans.metrics.name import MetricName
from gans.run.folder import RunFolder
from gans.run.identity import result_settings
from gans.run.test_results import read_results

FIGURES = {"modes": (1, ".1f"), "high_quality": (100, ".1f"), "mode_kl": (1, ".3f")}
"""Each figure, what it is multiplied by, and its format."""
NOT_SHOWN = ("interval",)


def figures_of(run: RunFolder) -> dict[str, float]:
    """The last checkpoint's figures, by the metric's own name; {} for runs on other data."""
    results = read_results(run.test_results_file).checkpoints["last"].results
    parsed = {MetricName.parse(name): value for name, value in results.items()}
    named = {name.figure: value for name, value in parsed.items() if name}
    is_of_points = named.keys() >= FIGURES.keys()
    return {figure: factor * named[figure] for figure, (factor, _) in FIGURES.items()} if is_of_points else {}


def described(config: dict[str, Any]) -> str:
    """The stabilizers with their options, after the objective where it is not cross-entropy."""
    objective = config["objective"]["_target_"].rpartition(".")[2]
    techniques = [
        f"{name} ({', '.join(f'{option} {value}' for option, value in shown(node).items())})" if shown(node) else name
        for name, node in config["stabilize"].items()
    ]
    return ", ".join([*([objective] if objective != "BinaryCrossEntropy" else []), *techniques]) or "none"


def shown(node: dict[str, Any]) -> dict[str, Any]:
    return {option: value for option, value in node.items() if option not in ("_target_", *NOT_SHOWN)}


def table(parent: Path) -> list[str]:
    """A row for each setting of each data set: how many runs, and mean ± standard error of each figure."""
    groups: dict[str, list[RunFolder]] = defaultdict(list)
    for path in sorted(parent.glob("*/test.json")):
        run = RunFolder(path.parent)
        if not figures_of(run):
            continue
        settings = result_settings(run.config) | {"seed": None}
        groups[str(flatten(settings))].append(run)
    lines = [
        "| data, steps x batch | stabilizers | seeds | modes | high quality, % | KL | worst: modes, % |",
        "|---" * 7 + "|",
    ]
    for runs in groups.values():
        config, found = runs[0].config, [figures_of(run) for run in runs]
        cells = []
        for figure, (_, form) in FIGURES.items():
            values = numpy.array([each[figure] for each in found])
            error = f" ± {values.std(ddof=1) / len(values) ** 0.5:{form}}" if len(values) > 1 else ""
            cells.append(f"{values.mean():{form}}{error}")
        worst = f"{min(each['modes'] for each in found):.0f}, {min(each['high_quality'] for each in found):.1f}"
        data, steps = config["data"], read_results(runs[0].test_results_file).checkpoints["last"].training_steps
        trained = f"{data['_target_'].rpartition('.')[2].lower()}, {steps:,} x {data['batch_size']}"
        lines.append(f"| {trained} | {described(config)} | {len(found)} | {' | '.join(cells)} | {worst} |")
    return lines


if __name__ == "__main__":
    print("\n".join(table(Path(sys.argv[1]))))
