"""Habits of Hydra's users that this package does not follow are answered, not ignored."""

import pytest
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import OverrideParseException
from omegaconf import OmegaConf

from gans.config.command_line import check_overrides, explain
from gans.config.resolve import resolve
from gans.errors import InputError


def check(monkeypatch: pytest.MonkeyPatch, *overrides: str) -> None:
    hydra = [text for text in overrides if text.startswith("hydra")]
    given = {"task": [text for text in overrides if text not in hydra], "hydra": hydra}
    monkeypatch.setattr(HydraConfig.instance(), "cfg", OmegaConf.create({"hydra": {"overrides": given}}))
    check_overrides()


@pytest.mark.parametrize(
    "override",
    ["hydra.run.dir=x", "hydra.sweep.dir=x", "hydra.sweep.subdir=x", "hydra.job.chdir=true", "hydra.output_subdir=x"],
)
def test_settings_of_hydra_that_say_where_to_write_are_refused(monkeypatch: pytest.MonkeyPatch, override: str) -> None:
    with pytest.raises(InputError, match="runs="):
        check(monkeypatch, override)


@pytest.mark.parametrize(
    "override", ["stabilize=[ema,ema]", "metric=[fid,kid,fid]", "figure=[grids,grids]", "data=[mnist,digits]"]
)
def test_a_choice_is_named_once(monkeypatch: pytest.MonkeyPatch, override: str) -> None:
    with pytest.raises(InputError, match="choice"):
        check(monkeypatch, "seed=1", override)


def test_what_has_an_effect_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    check(monkeypatch, "hydra.launcher.n_jobs=2", "hydra.mode=MULTIRUN", "stabilize=[ema,r1]", "data=digits", "seed=1")


@pytest.mark.parametrize("override", ["runs=/tmp/josé", "runs=a=b", "model=[dcgan", 'runs="a', "runs=a{b"])
def test_what_hydra_can_not_read_is_shown_with_quotes(override: str) -> None:
    with pytest.raises(OverrideParseException) as error:
        OverridesParser.create().parse_overrides([override])
    line = explain(error.value)
    assert "\n" not in line
    assert "ANTLR" not in line
    assert f"""'{override.replace("=", '="', 1)}"'""" in line or '\\"' in line


@pytest.mark.parametrize("option", ["resume", "test", "runs", "data"])
def test_an_empty_value_is_not_the_current_folder(option: str) -> None:
    with pytest.raises(InputError, match=option):
        resolve(OmegaConf.create({option: {"root": ""} if option == "data" else ""}))
