"""What goes with what, from the code: ``python docs/combinations.py`` writes docs/combinations.md.

Every objective x stabilizer x model is built for the model's own data; what is refused is listed with the refusal's own
words.
"""

from collections import defaultdict
from functools import cache
from itertools import combinations, product
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.utils import get_class

from gans.config.build import build_gan
from gans.config.resolve import resolve
from gans.config.schema import RunConfig
from gans.config.validate import validate
from gans.errors import InputError

ROOT = Path(__file__).resolve().parent.parent
CONF = ROOT / "conf"
PAGE = ROOT / "docs" / "combinations.md"

INTRODUCTION = """# What goes with what

Written by `python docs/combinations.py` from the code. Every model trains with every objective and every stabilizer,
and `dcgan` with `bce` with every pair of stabilizers, but for the combinations below: they mean nothing, and are
refused before training with these words.
"""


GROUPS = ("model", "objective", "stabilize")


def options() -> dict[str, list[str]]:
    """The names of all options of each group."""
    return {group: sorted(path.stem for path in (CONF / group).glob("*.yaml")) for group in GROUPS}


@cache
def config_of(group: str, name: str) -> RunConfig:
    """The config of a command with one choice."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return validate(resolve(compose("config", overrides=[f"{group}={name}"])))


def part(group: str, name: str) -> dict[str, Any]:
    """A choice's own part of the config."""
    return getattr(config_of(group, name), group)


def refusal(model: str, objective: str, stabilizers: tuple[str, ...]) -> str | None:
    """Why a combination is refused; None where it is not."""
    chosen = {key: node for name in stabilizers for key, node in part("stabilize", name).items()}
    choices = {"objective": part("objective", objective), "stabilize": chosen}
    try:
        build_gan(config_of("model", model).model_copy(update=choices))
    except InputError as error:
        return str(error)
    return None


def techniques(stabilizers: list[str]) -> list[str]:
    """A table row for each stabilizer: its name, and the first line of what it says of itself."""
    rows = ["| `stabilize=` | what it does |", "|---|---|"]
    for name in stabilizers:
        for node in part("stabilize", name).values():
            summary = (get_class(node["_target_"]).__doc__ or "").strip().split("\n\n")[0]
            text = " ".join(summary.split()).replace("|", r"\|").replace("``", "`")
            rows.append(f"| `{name}` | {text} |")
    return rows


Place = tuple[str, str, str]
"""A model, an objective and a stabilizer."""


def refusals(names: dict[str, list[str]]) -> list[str]:
    """Each reason, and below it the combinations that it is given for."""
    places: dict[str, set[Place]] = defaultdict(set)
    for model in names["model"]:
        for objective in names["objective"]:
            bare = refusal(model, objective, ())
            for name in names["stabilize"]:
                if reason := bare or refusal(model, objective, (name,)):
                    places[reason].add((model, objective, name))
    refused = set().union(*places.values())
    lines = [(reason, shortened(held, refused, names)) for reason, held in places.items()]
    for pair in combinations(names["stabilize"], 2):
        if "none" not in pair and (reason := refusal("dcgan", "bce", pair)):
            lines.append((reason, f"`stabilize=[{','.join(pair)}]`"))
    return [line for reason, where in lines for line in (f"- {reason}", f"  - {where}")]


def shortened(held: set[Place], refused: set[Place], names: dict[str, list[str]]) -> str:
    """The combinations, those of every model or of every objective as one."""
    shown: list[str] = []
    left = set(held)
    for count in (1, 2, 3):  # the most general first
        for place, fixed in product(sorted(held), combinations(range(3), count)):
            choices = [[place[index]] if index in fixed else names[group] for index, group in enumerate(GROUPS)]
            family = set(product(*choices))
            if family <= refused and family & left and 2 * len(family & held) > len(family):
                left -= family
                shown.append(f"`{' '.join(f'{GROUPS[index]}={place[index]}' for index in fixed)}`")
    return ", ".join(shown)


def page(names: dict[str, list[str]]) -> str:
    refused, rows = refusals(names), techniques(names["stabilize"])
    return "\n".join([INTRODUCTION, "## Refused", "", *refused, "", "## Stabilizers", "", *rows]) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(options()), encoding="utf-8")
    print(PAGE)
