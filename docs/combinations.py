"""What goes with what, from the code: ``python docs/combinations.py`` writes docs/combinations.md.

Whether a combination is refused depends on two of its choices, which tests/test_matrix.py checks, so that every pair of
choices is built beside a GAN that goes with everything. A refusal is listed with its own words.
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

Written by `python docs/combinations.py` from the code. Every model trains with every objective, every stabilizer and
every pair of stabilizers, except for the pairs of choices below. They would have no effect, or no meaning, and are
refused before training with these words.
"""


GROUPS = ("model", "objective", "stabilize")


def options() -> dict[str, list[str]]:
    """The names of all options of each group."""
    return {group: sorted(path.stem for path in (CONF / group).glob("*.yaml")) for group in GROUPS}


@cache
def config_of(group: str, name: str) -> RunConfig:
    """The config of a command with one choice. Its networks are narrow, so that they are built fast."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        options = resolve(compose("config", overrides=[f"{group}={name}"]))
    for network in ("generator", "discriminator"):
        node = options["model"][network]
        node |= {"width": 8} if "width" in node else {}
        node |= {"widths": [min(8, width) for width in node["widths"]]} if "widths" in node else {}
    return validate(options)


def part(group: str, name: str) -> dict[str, Any]:
    """A choice's own part of the config."""
    return getattr(config_of(group, name), group)


@cache
def refusal(model: str = "dcgan", objective: str = "bce", stabilizers: tuple[str, ...] = ()) -> str | None:
    """Why a combination is refused; None if it is not."""
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


def refusals(names: dict[str, list[str]]) -> list[str]:
    """Each reason, and below it the pairs of choices that it is given for."""
    places: dict[str | None, list[str]] = defaultdict(list)
    for model, objective in product(names["model"], names["objective"]):
        places[refusal(model, objective)].append(f"model={model} objective={objective}")
    for model, name in product(names["model"], names["stabilize"]):
        places[refusal(model, stabilizers=(name,))].append(f"model={model} stabilize={name}")
    for objective, name in product(names["objective"], names["stabilize"]):
        places[refusal(objective=objective, stabilizers=(name,))].append(f"objective={objective} stabilize={name}")
    for pair in combinations(names["stabilize"], 2):
        places[refusal(stabilizers=pair)].append(f"stabilize=[{','.join(pair)}]")
    del places[None]
    return [
        line
        for reason, pairs in places.items()
        for line in (f"- {reason}", f"  - {', '.join(f'`{pair}`' for pair in pairs)}")
    ]


def page(names: dict[str, list[str]]) -> str:
    refused, rows = refusals(names), techniques(names["stabilize"])
    return "\n".join([INTRODUCTION, "## Refused", "", *refused, "", "## Stabilizers", "", *rows]) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(options()), encoding="utf-8")
    print(PAGE)
