"""What stands for nothing, or for what is not there, in a file of the user's own."""

import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

import gans
from gans.config.resolve import resolve
from gans.errors import InputError, one_line


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("${data.sizee}", r"mine\.decay: .*'data\.sizee' \(did you mean 'data\.size'\?\)"),
        ("${devi}", r"mine\.decay: .*'devi'"),
        ("${note:x}", r"mine\.decay: .*note"),
        ("a ${data.size of", r"mine\.decay"),
    ],
)
def test_a_reference_to_nothing_is_named_and_nothing_else_blamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference: str, said: str
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "stabilize").mkdir()
    file = tmp_path / "stabilize" / "mine.yaml"
    file.write_text(f"mine:\n  _target_: gans.stabilize.ema.EMA\n  decay: '{reference}'\n")
    with pytest.raises(InputError, match=said) as error:
        gans.compose("data=digits", "stabilize=mine", config_dir=tmp_path)
    assert "other data" not in str(error.value)


def test_data_without_what_a_model_needs_is_said_to_be_unfit() -> None:
    with pytest.raises(InputError, match=r"model\.generator\.size.*data\.size.*other data"):
        gans.compose("data=ring")


@pytest.mark.parametrize("name", ["x", "data.size", "model.name"])
def test_a_dollar_sign_in_a_studys_text_is_no_missing_data(name: str) -> None:
    options = {"study": {"question": f"Is it worth ${{{name}}}?"}}
    with pytest.raises(InputError, match=r"study\.question: .*\\\$\{") as error:
        resolve(OmegaConf.create(options))
    assert f"'{name}'" in str(error.value)
    assert "chosen" not in str(error.value)
    options["study"]["question"] = "Is it worth \\${x}?"
    assert resolve(OmegaConf.create(options))["study"]["question"] == "Is it worth ${x}?"


def test_an_error_without_a_message_has_that_of_its_cause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "stabilize").mkdir()
    (tmp_path / "stabilize" / "mine.yaml").write_text("null: 3\n")
    with pytest.raises(InputError, match="key"):
        gans.compose("data=digits", "stabilize=mine", config_dir=tmp_path)
    assert one_line(KeyError()) == "KeyError"
