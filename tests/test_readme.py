"""The README's recipe for a stabilizer, followed to the letter."""

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from omegaconf import OmegaConf

import gans.stabilize
from gans.config.validate import validate
from gans.errors import InputError
from gans.run import commands
from tests.configs import ROOT, composed
from tests.run.runs import NAME, tiny


def block(language: str, place: str) -> str:
    """The README's code block of a file."""
    found = re.search(rf"```{language}\n# {re.escape(place)}\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert found, place
    return found[1]


def test_the_recipe_for_a_stabilizer_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("gans.stabilize.input_noise")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(gans.stabilize, "input_noise", module, raising=False)
    exec(block("python", "gans/stabilize/input_noise.py"), module.__dict__)
    option = OmegaConf.to_container(OmegaConf.create(block("yaml", "conf/stabilize/input_noise.yaml")))
    assert isinstance(option, dict)

    config = composed(*tiny("trainer.max_steps=2", "stabilize=ema", f"runs={tmp_path}"))
    config["stabilize"] |= option
    run = commands.start(validate(config), NAME)
    assert list(run.config["stabilize"]) == ["ema", "input_noise"]
    config["stabilize"]["input_noise"]["deviation"] = -1
    with pytest.raises(InputError, match=r"stabilize\.input_noise\.deviation=-1"):
        validate(config)
