"""The page of the training step says at which hooks stabilizers act."""

import re

import pytest
from hydra.utils import get_class

from gans.stabilize.base import HOOKS, Stabilizer
from tests.configs import ROOT, option

TABLE = (ROOT / "docs" / "training.md").read_text(encoding="utf-8").partition("## Where stabilizers act")[2]
ROWS = [
    (re.findall(r"`(\w+)`", hooks), name)
    for hooks, examples in re.findall(r"^\|[^|]*\|([^|]*)\|([^|]*)\|$", TABLE, re.MULTILINE)
    for name in re.findall(r"`(\w+)`", examples)
]


@pytest.mark.parametrize(("hooks", "name"), ROWS)
def test_a_stabilizer_acts_where_the_page_says(hooks: list[str], name: str) -> None:
    kind = get_class(option("stabilize", name)[name]["_target_"])
    assert any(getattr(kind, hook) is not getattr(Stabilizer, hook) for hook in hooks)


def test_every_hook_is_on_the_page() -> None:
    assert {name for row, _ in ROWS for name in row} == {*HOOKS}
