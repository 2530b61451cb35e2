"""A table of runs on points, in Markdown, from their folders: ``python docs/mixtures.py runs``.

Runs that differ in nothing but the seed are one row: the mean over them, and its standard error.
"""

import re
import sys
from collections import defaultdict
from pathlib import Path

import numpy

from gans.results import read_results

FIGURES = {"modes": (1, ".1f"), "high_quality": (100, ".1f"), "mode_kl": (1, ".3f")}
"""Each figure, what it is multiplied by, and its format."""


def figures_of(folder: Path) -> dict[str, float]:
    """The last checkpoint's figures, by the metric's own name."""
    results = read_results(folder / "test.json").checkpoints["last"].results
    return {
        figure: factor * value
        for figure, (factor, _) in FIGURES.items()
        for name, value in results.items()
        if re.fullmatch(rf"{figure}_\d+_[a-z]+\d+", name)
    }


def table(parent: Path) -> list[str]:
    """A row for each setting of each data set: how many runs, and mean ± standard error of each figure."""
    groups: dict[str, list[dict[str, float]]] = defaultdict(list)
    for path in sorted(parent.glob("*/test.json")):
        setting = re.sub(r"-seed\d+(_\d+)?$", "", path.parent.name)
        groups[setting].append(figures_of(path.parent))
    lines = ["| setting | seeds | modes | high quality, % | KL | worst seed: modes, % |", "|---|---|---|---|---|---|"]
    for setting, found in groups.items():
        cells = []
        for figure, (_, form) in FIGURES.items():
            values = numpy.array([each[figure] for each in found])
            error = values.std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else float("nan")
            cells.append(f"{values.mean():{form}} ± {error:{form}}")
        worst = f"{min(each['modes'] for each in found):.0f}, {min(each['high_quality'] for each in found):.1f}"
        lines.append(f"| `{setting}` | {len(found)} | {' | '.join(cells)} | {worst} |")
    return lines


if __name__ == "__main__":
    print("\n".join(table(Path(sys.argv[1]))))
