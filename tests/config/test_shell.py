"""Commands that messages recommend: a shell, then Hydra, then OmegaConf read back what was meant."""

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from gans.config.shell import shell_command
from tests.configs import ROOT

TRICKY = st.text(st.sampled_from("ab1 ._-+/'\"\\$[]{}(),:=#%~@!*?<>|;&^`éπ名"), min_size=1)
TEXT = st.text(st.characters(exclude_categories=("C", "Zl", "Zp")), min_size=1)


def read(command: str) -> dict[str, Any]:
    """The options of a command, as ``hydra.main`` reads them."""
    python, script, *overrides = shlex.split(command)
    assert (python, script) == ("python", str(ROOT / "train.py"))
    parsed = OverridesParser.create().parse_overrides(overrides)
    config = OmegaConf.create({each.key_or_group: each.value() for each in parsed})
    options = OmegaConf.to_container(config, resolve=True)
    assert isinstance(options, dict)
    return {str(name): option for name, option in options.items()}


@given(TRICKY | TEXT, st.lists(TRICKY))
@example("null", ["1e-3", "true"])
@example("a${b}", ["\\${now:}", "\\\\${x", "$"])
@example("trailing\\", ["a, b"])
def test_a_command_is_read_back(text: str, several: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [str(ROOT / "generate.py")])
        options = {"resume": text, "trust": several, "count": 3, "npz": True, "limit": None}
        assert read(shell_command("train.py", options)) == options


def test_a_plain_command_stays_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["train.py"])
    plain = "python train.py resume=runs/digits83-dcgan-bce-ema+r1-5steps-seed0_2"
    assert shell_command("train.py", {"resume": plain.partition("=")[2]}) == plain


@pytest.mark.parametrize("started", ["", "-c", "/usr/bin/pytest", "site-packages/ipykernel_launcher.py"])
def test_where_no_command_runs_the_repositorys_is_named(monkeypatch: pytest.MonkeyPatch, started: str) -> None:
    monkeypatch.setattr(sys, "argv", [started])
    assert shlex.split(shell_command("train.py", {"test": "a"})) == ["python", str(ROOT / "train.py"), "test=a"]


def test_a_script_of_the_users_own_is_no_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever it is called."""
    (tmp_path / "train.py").touch()
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "train.py")])
    assert shlex.split(shell_command("train.py", {"test": "a"})) == ["python", str(ROOT / "train.py"), "test=a"]


@given(TRICKY)
def test_shells_agree_with_shlex(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["here/train.py"])
        command = shell_command("train.py", {"resume": text})
    script = f"printf '%s\\n' {command.removeprefix('python ')}"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True)
    assert done.stdout.split("\n")[1:-1] == shlex.split(command)[2:]
