"""The studies in conf/study/: each can be asked."""

import pytest
from hydra import initialize_config_dir

from gans.config.validate import check_options, find_target
from gans.study.define import StudyDefinition
from gans.study.known_figures import known
from gans.study.plan import Planner
from tests.configs import CONF, composed, names


@pytest.mark.parametrize(
    "name",
    ["first_steps", *(pytest.param(name, marks=pytest.mark.slow) for name in names("study") if name != "first_steps")],
)
def test_every_study_can_be_planned(name: str) -> None:
    """Its arms compose, pass validation, and compute what decides."""
    definition = check_options(StudyDefinition, composed(f"study={name}", config_name="study")["study"])
    with initialize_config_dir(str(CONF), version_base="1.3"):
        planner = Planner(definition)
    assert planner.plan(definition.baseline, 1).settings != planner.plan(definition.baseline, 0).settings


@pytest.mark.slow
def test_every_value_of_the_packages_metrics_is_explained() -> None:
    """On a study's page, where a reader has nothing else."""
    targets = [node["_target_"] for name in names("metric") for node in composed(f"metric={name}")["metric"].values()]
    values = {value for target in targets for value in vars(find_target(target, "metric", ()))["values"]}
    assert {"fid", "copying", "mode_kl"} <= values
    for value in values:
        assert known(value).meaning, value
