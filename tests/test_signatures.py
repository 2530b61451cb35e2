"""What is read from source is what the classes themselves say."""

import re
from pathlib import Path
from typing import Any, Literal

import pytest

from gans.config.build import parameters_of, target_class
from gans.signatures import read_constant, read_signature, source_file
from tests.conftest import CONF, composed

TARGETS = sorted(
    {
        target
        for file in CONF.rglob("*.yaml")
        for target in re.findall(r"_target_: ((?:gans|torch)\.[\w.]+)", file.read_text(encoding="utf-8"))
        if target != "gans.sweep.summary.Report"  # Hydra's to build
    }
)


def shown(hint: Any) -> str:
    """An annotation as text, in which classes of one name are one."""
    return re.sub(r"<class '([\w.]+\.)?(\w+)'>|([\w]+\.)+(?=\w)", r"\2", repr(hint))


@pytest.mark.parametrize("target", TARGETS)
def test_annotations_are_those_of_the_class(target: str) -> None:
    own = parameters_of(target_class(target))
    found, all_of_them = read_signature(target)
    for name, hint in found.items():
        assert hint is Any or shown(hint) == shown(own[name]), name
    if all_of_them:
        assert list(found) == list(own)


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
                found, _ = read_signature(node["_target_"])
                unread |= {(node["_target_"], name) for name in plain if found.get(name, Any) is Any}
    assert unread == set()


@pytest.mark.parametrize("name", ["makes_points", "holds_points", "source"])
def test_constants_are_those_of_the_class(name: str) -> None:
    read = {target: found for target in TARGETS if (found := read_constant(target, name)) is not None}
    assert read == {target: getattr(target_class(target), name) for target in read}
    assert len(read) > 5
    assert read.keys() == {target for target in TARGETS if getattr(target_class(target), name, None) is not None}


def test_each_class_says_for_itself_how_many_channels_its_images_have() -> None:
    read = {target: read_constant(target, "image_channels", inherited=False) for target in TARGETS}
    said = {target: vars(target_class(target)).get("image_channels") for target in TARGETS}
    assert read == said
    images = {target for target in TARGETS if getattr(target_class(target), "holds_points", True) is False}
    assert {target for target in images if said[target] is None} == set()


def test_a_constant_of_a_class_is_not_that_of_its_base(strange: Path) -> None:
    strange.write_text(
        "class Base:\n    kind = 1\nclass A(Base): ...\nclass B(Base):\n    kind: int = 2\n"
        "class C(Base):\n    kind = len('C')\nclass D(C): ...\nclass E(Unknown): ...\nclass F(F): ...\n"
    )
    found = {name: read_constant(f"strange.thing.{name}", "kind") for name in "ABCDEFG"}
    assert found == {"A": 1, "B": 2, "C": None, "D": None, "E": None, "F": None, "G": None}
    own = {name: read_constant(f"strange.thing.{name}", "kind", inherited=False) for name in "ABCDEFG"}
    assert own == dict.fromkeys("ABCDEFG") | {"B": 2}


@pytest.fixture
def strange(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module strange.thing to write, of a package that may be read."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("gans.signatures.READABLE", ("strange",))
    source_file.cache_clear()
    package = tmp_path / "strange"
    package.mkdir()
    (package / "__init__.py").touch()
    return package / "thing.py"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "from elsewhere import Unknown",
        "def f(): ...\nUnknown = f()",
        "from strange.thing import Unknown",
        "Unknown = 'int'",
        "Unknown = list['int']",
        "Unknown = 1 / 0",
        "import typing as t\nUnknown = t.Any",
    ],
)
def test_what_cannot_be_read_is_left_out(text: str, strange: Path) -> None:
    strange.write_text(f"{text}\nclass A:\n    def __init__(self, width: Unknown, depth: int): ...\n")
    assert read_signature("strange.thing.A") == ({"width": Any, "depth": int}, True)


@pytest.mark.parametrize(
    "text",
    [
        "class A(Base):\n    def __init__(self, width: Unknown, depth: int, **others): ...",
        "class A(Base):\n    def __init__(self, width, depth: int, **others): ...",
        "class A(Base):\n    def __init__(self, width: 'Positive', depth: int, **others): ...",
        "class A(Base):\n    Own = int\n    def __init__(self, width: Own, depth: int, **others): ...",
        "class A:\n    def __init__(self, width: int): ...\n    def __init__(self, width: Unknown, depth: int): ...",
    ],
)
def test_a_class_is_not_judged_by_another_signature(text: str, strange: Path) -> None:
    """That of its base, an overload, or a name that means something else around it."""
    begin = "Own = str\nclass Base:\n    def __init__(self, width: int, depth: str): ...\n"
    strange.write_text(f"{begin}{text}\n")
    assert read_signature("strange.thing.A") == ({"width": Any, "depth": int}, True)


@pytest.mark.parametrize("text", ["class (:", "class A(A): ...", "from strange.thing import A", "A = 1", "\0"])
def test_what_is_no_class_tells_nothing(text: str, strange: Path) -> None:
    strange.write_text(text)
    for target in ("strange.thing.A", "strange.nothing.A", f"strange.{'x' * 1000}.A", "os.PathLike"):
        assert read_signature(target) == ({}, False)


def test_choices_are_text(strange: Path) -> None:
    strange.write_text("from typing import Literal\nclass A:\n    def __init__(self, kind: Literal['a', 'b']): ...\n")
    assert read_signature("strange.thing.A") == ({"kind": Literal["a", "b"]}, True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("class A: ...", ({}, True)),
        ("from abc import ABC\nclass A(ABC): ...", ({}, True)),
        ("from typing import Generic, TypeVar\nT = TypeVar('T')\nclass A(Generic[T]): ...", ({}, True)),
        ("from elsewhere import Unknown\nclass A(Unknown): ...", ({}, False)),
        ("from elsewhere import ABC\nclass A(ABC): ...", ({}, False)),
        ("import elsewhere\nclass A(elsewhere.Unknown): ...", ({}, False)),
        ("@dataclass\nclass A:\n    width: int\n    kind: ClassVar[int] = 1", ({"width": int}, True)),
        (
            "@dataclass\nclass Base:\n    width: int\n    depth: int\n@dataclass\nclass A(Base):\n    width: str",
            ({"width": str, "depth": int}, True),
        ),
        ("@dataclass\nclass A(Unknown):\n    width: int", ({"width": int}, False)),
        (
            "@dataclass\nclass Base:\n    depth: int\n@dataclass\nclass A(Base):\n    kind: typing.ClassVar[int] = 1\n"
            "    _: KW_ONLY\n    made: int = field(init=False)\n    width: int = field(default=1)",
            ({"depth": int, "width": int}, True),
        ),
        ("@unknown\nclass A: ...", ({}, False)),
        ("def make(self, width): ...\nclass A:\n    __init__ = make", ({}, False)),
        ("class A:\n    if True:\n        def __init__(self, width: int): ...", ({}, False)),
        (
            "class Top:\n    def __init__(self, depth: int): ...\nclass Left(Top): ...\nclass Right(Top):\n"
            "    def __init__(self, width: int, **others): ...\n"
            "class A(Left, Right):\n    def __init__(self, kind: int, **others): ...",
            ({"kind": int}, False),
        ),
    ],
)
def test_all_options_are_known_where_all_bases_are(
    text: str, expected: tuple[dict[str, Any], bool], strange: Path
) -> None:
    strange.write_text(f"{text}\n")
    assert read_signature("strange.thing.A") == expected
