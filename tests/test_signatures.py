"""What is read from source is what the classes themselves say."""

import re
from pathlib import Path
from typing import Any

import pytest

from gans.building import _parameters, target_class
from gans.signatures import annotations
from tests.conftest import CONF, composed

TARGETS = sorted(
    {
        target
        for file in CONF.rglob("*.yaml")
        for target in re.findall(r"_target_: ((?:gans|torch)\.[\w.]+)", file.read_text(encoding="utf-8"))
        if target != "gans.sweep.Report"  # Hydra's to build
    }
)


def shown(hint: Any) -> str:
    """An annotation as text, in which classes of one name are one."""
    return re.sub(r"<class '([\w.]+\.)?(\w+)'>|([\w]+\.)+(?=\w)", r"\2", repr(hint))


@pytest.mark.parametrize("target", TARGETS)
def test_annotations_are_those_of_the_class(target: str) -> None:
    own = _parameters(target_class(target))
    for name, hint in annotations(target).items():
        assert shown(hint) == shown(own[name]), name


def test_what_experiments_say_is_read() -> None:
    """All but what becomes an object: a wrong value of any other waits for no import."""
    unread = set()
    for file in sorted((CONF / "experiment").glob("*.yaml")):
        config = composed(f"experiment={file.stem}")
        nodes = [config[group] for group in ("data", "model", "objective", "stabilize", "metric", "trainer")]
        while nodes:
            node = nodes.pop()
            nodes += [value for value in node.values() if isinstance(value, dict)]
            if "_target_" in node:
                plain = {name for name, value in node.items() if not isinstance(value, dict) and name[0] != "_"}
                unread |= {(node["_target_"], name) for name in plain - annotations(node["_target_"]).keys()}
    assert unread == set()


@pytest.mark.parametrize(
    "source",
    [
        "class A:\n    def __init__(self, width: Unknown, depth: int): ...\n",
        "from elsewhere import Unknown\nclass A:\n    def __init__(self, width: Unknown, depth: int): ...\n",
        "def f(): ...\nUnknown = f()\nclass A:\n    def __init__(self, width: Unknown, depth: int): ...\n",
        "from torch import *\nclass A:\n    def __init__(self, width: 1 / 0, depth: int): ...\n",
    ],
)
def test_what_cannot_be_read_is_left_out(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "strange.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("gans.signatures.READABLE", ("strange",))
    (tmp_path / "strange").mkdir()
    (tmp_path / "strange" / "__init__.py").write_text("")
    (tmp_path / "strange.py").rename(tmp_path / "strange" / "thing.py")
    assert annotations("strange.thing.A") == {"depth": int}
    assert annotations("strange.thing.B") == {}
    assert annotations("strange.nothing.A") == {}
    assert annotations("os.PathLike") == {}
