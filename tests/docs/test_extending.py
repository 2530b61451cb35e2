"""The recipes of docs/extending.md, as somebody copies them: every file of a user's own folder, then every command."""

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import gans
from gans.errors import InputError
from gans.files import code_sha256
from tests.configs import ROOT
from tests.run.runs import tiny

TEXT = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
FILES = {
    found[1]: text
    for _, text in BLOCKS
    if (found := re.match(r"(?:# @package _global_\n)?# ((?:conf|gans|my_folder)/\S+)\n", text))
}
"""The page's files, by the path in their first comment."""
COMMAND = "python train.py --config-dir my_folder "
COMMANDS = [line for _, text in BLOCKS for line in text.splitlines() if line.startswith(COMMAND)]
TRAINS = [line for line in COMMANDS if "=runs/" not in line]


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The modules of the page, which other tests may call the same."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    for path in FILES:
        sys.modules.pop(Path(path).stem, None)
    code_sha256.cache_clear()


def write_own_folder() -> None:
    """All files of ``my_folder``; a class that is shown inside the package stands in a file of the same name."""
    for path, text in FILES.items():
        inside = path.startswith("gans/") and path != "gans/objectives.py"
        if path.startswith("my_folder/") or inside:
            file = Path("my_folder", Path(path).name) if inside else Path(path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")


def test_files_inside_and_outside_the_package_differ_in_the_name_of_the_class() -> None:
    for path, text in FILES.items():
        if path.startswith("conf/"):
            outside = FILES[path.replace("conf/", "my_folder/")]
            lines = [
                (here, there)
                for here, there in zip(text.splitlines(), outside.splitlines(), strict=True)
                if here != there and path not in here
            ]
            assert lines, path
            for here, there in lines:
                assert "_target_: gans." in here, path
                assert here.rpartition(".")[2] == there.rpartition(".")[2], path


def test_what_is_left_out_of_a_models_file_is_named(tmp_path: Path) -> None:
    """Its first line, its defaults, or one of them."""
    text, folder = FILES["my_folder/model/dense.yaml"], tmp_path / "model"
    folder.mkdir()
    first = "# @package _global_\n"
    for number, (changed, said) in enumerate(
        (
            (text.removeprefix(first), first.strip()),
            (re.sub(r"defaults:\n(  - .*\n)+", "", text), "objective is not chosen"),
            (text.replace("  - /objective: bce\n", ""), "objective is not chosen"),
        )
    ):
        assert changed != text
        (folder / f"dense{number}.yaml").write_text(changed, encoding="utf-8")
        with pytest.raises(InputError, match=said):
            gans.compose("data=digits", f"model=dense{number}", config_dir=tmp_path)


@pytest.mark.slow
def test_recipes_are_copied_and_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_own_folder()
    made = next(
        text for language, text in BLOCKS if language == "python" and "my_digits.npz" in text and "savez" in text
    )
    exec(made, {})
    assert len(TRAINS) == 6
    for line in TRAINS:
        typed = shlex.split(line.removeprefix(COMMAND))
        chosen = {option.partition("=")[0] for option in typed}
        small = [option for option in tiny("trainer.max_steps=2") if option.partition("=")[0] not in chosen]
        if "data=digits" not in typed:
            small = [option for option in small if option != "data.val_size=70"]
        run = gans.train(*typed, *small, config_dir="my_folder")
        assert run.test, line
