"""Which runs of a study are made, and which count."""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hydra import initialize_config_dir
from omegaconf import OmegaConf

from gans.config.resolve import resolve
from gans.config.schema import StudyOptions
from gans.config.validate import check_options
from gans.errors import InputError
from gans.run.folder import RunFolder
from gans.study import make_runs
from gans.study.allocate import runs_that_count, undecided_arms
from gans.study.analyse import ROLLED_BACK, analyse, other_code, troubles_of
from gans.study.answers import outlook
from gans.study.ask import ask, missing_runs, twins
from gans.study.define import StudyDefinition
from gans.study.find import Runs
from gans.study.plan import PlannedRun, Planner
from gans.study.record import read_records
from tests.configs import CONF, composed, mostly_slow
from tests.study.synthetic import figures_of, write_run


@pytest.fixture
def planner() -> Iterator[Planner]:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield Planner(DEFINITION)


DEFINITION = StudyDefinition.model_validate({
    "question": "Is it better?", "common": ["data=digits", "metric=[fid]"],
    "arms": {"none": [], "better": ["stabilize=ema"]}, "baseline": "none", "seeds": 3, "most_seeds": 4,
    "figures": ["fid"],
    "claims": [{"text": "It is.", "parts": [{"figure": "fid", "arm": "better", "expect": "lower"}]}],
})  # fmt: skip


def make(folder: Path, plan: PlannedRun) -> None:
    write_run(folder / f"{plan.arm}-{plan.seed}", composed(*plan.overrides), figures_of(plan.arm, plan.seed))


def test_seeds_beyond_the_most_count_if_they_are_there(tmp_path: Path, planner: Planner) -> None:
    for seed in range(6):
        make(tmp_path, planner.plan("none", seed))
    make(tmp_path, planner.plan("better", 5))
    plans = runs_that_count(DEFINITION, planner, Runs([str(tmp_path)]))
    assert {plan.seed for plan in plans} == {*range(6)}


def test_runs_that_began_and_did_not_end_are_named(tmp_path: Path, planner: Planner) -> None:
    """Of all seeds; others only of the first ones."""
    for seed in range(4):
        make(tmp_path, planner.plan("none", seed))
        make(tmp_path, planner.plan("better", seed))
    (tmp_path / "better-3" / "history.json").write_text("[]")
    runs = Runs([str(tmp_path)])
    (warning,) = missing_runs(runs_that_count(DEFINITION, planner, runs), DEFINITION.seeds, runs)
    assert "better, seed 3" in warning


def test_of_runs_with_the_same_settings_a_finished_one_counts_and_the_others_are_named(
    tmp_path: Path, planner: Planner
) -> None:
    plan = planner.plan("none", 0)
    for name, failed_at in (("a", 500), ("b", None), ("c", None)):
        write_run(tmp_path / name, composed(*plan.overrides), figures_of("none", 0), failed_at=failed_at)
    runs = Runs([str(tmp_path)])
    counted = runs.of(plan)
    assert counted is not None
    assert counted.name == "b"
    (warning,) = twins([plan, planner.plan("better", 0)], runs)
    assert all(f"'{tmp_path / name}'" in warning for name in "abc")
    assert not twins([planner.plan("better", 0)], runs)


def test_of_runs_with_the_same_settings_one_that_was_tested_counts(tmp_path: Path, planner: Planner) -> None:
    plan = planner.plan("none", 0)
    for name in ("a", "b"):
        write_run(tmp_path / name, composed(*plan.overrides), figures_of("none", 0))
    (tmp_path / "a" / "test.json").unlink()
    assert [run.name for run, _ in Runs([str(tmp_path)]).counted([plan])] == ["b"]


def test_a_study_on_the_cpu_takes_cores() -> None:
    study = StudyDefinition.model_validate(DEFINITION.model_dump() | {"common": ["trainer.accelerator=cpu"]})
    with initialize_config_dir(str(CONF), version_base="1.3"):
        assert Planner(study).accelerators == {"cpu"}


@pytest.mark.parametrize("budget", mostly_slow(1, [5, 1, 50]))
def test_first_seeds_come_before_a_budget_is_spent_on_more(
    tmp_path: Path, planner: Planner, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], budget: int
) -> None:
    for seed in range(3):
        make(tmp_path, planner.plan("none", seed))
        if seed:
            make(tmp_path, planner.plan("better", seed))
    rounds: list[list[tuple[str, int]]] = []

    def note(_: Any, __: Any, plans: list[PlannedRun], *___: Any) -> str:
        rounds.append([(plan.arm, plan.seed) for plan in plans])
        return ""

    monkeypatch.setattr(make_runs, "make_runs", note)
    monkeypatch.setattr(make_runs, "make_engine", lambda *_: SimpleNamespace(at_once=2))
    options = check_options(
        StudyOptions, composed(f"budget={budget}", f"runs=[{tmp_path}]", f"output={tmp_path}", config_name="study")
    )
    make_runs.run_missing(DEFINITION, planner, options, "mine", None)
    assert rounds[0] == [("better", 0)]
    assert sum(map(len, rounds)) == min(budget, 3)
    assert (f"budget: {budget - 3} runs are not used" in capsys.readouterr().out) == (budget > 3)


def test_a_figure_that_finished_runs_lack_stops_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No validation was at this step, as only a finished run tells."""
    claims = [claim.model_dump() for claim in DEFINITION.claims]
    study = StudyDefinition.model_validate(DEFINITION.model_dump() | {"figures": ["fid", "fid@123"], "claims": claims})
    with initialize_config_dir(str(CONF), version_base="1.3"):
        planned = Planner(study)
    made: list[str] = []

    def make_some(_: Any, __: Any, view: Any) -> str:
        for arm in study.all_arms:
            view.state()
            make(tmp_path / "runs", planned.plan(arm, 0))
            made.append(arm)
        view.state()
        raise AssertionError("others would be made")

    monkeypatch.setattr(make_runs, "run_members", make_some)
    monkeypatch.setattr(make_runs, "make_engine", lambda *_: SimpleNamespace(at_once=2))
    options = check_options(
        StudyOptions, composed(f"runs=[{tmp_path}/runs]", f"output={tmp_path}", config_name="study")
    )
    for _ in range(2):  # and no more are made by the next command
        with pytest.raises(InputError, match="fid@123"):
            make_runs.run_missing(study, planned, options, "mine", None)
    assert made == [*study.all_arms]


@pytest.mark.slow
@pytest.mark.usefixtures("without_figures")
@pytest.mark.parametrize("failing", [True, False])
def test_a_study_whose_runs_fail_publishes_the_others_and_is_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: bool
) -> None:
    def try_to_make(_: Any, __: Any, plans: list[PlannedRun], *___: Any) -> str:
        for plan in plans:
            if plan.arm == "none" or not failing:
                make(tmp_path / "runs", plan)
        return ""

    monkeypatch.setattr(make_runs, "make_runs", try_to_make)
    monkeypatch.setattr(make_runs, "make_engine", lambda *_: SimpleNamespace(at_once=2))
    options = composed(f"runs=[{tmp_path}/runs]", f"output={tmp_path}/studies", config_name="study")
    options |= {"study": DEFINITION.model_dump()}
    for budget in (None, 20):
        with (
            initialize_config_dir(str(CONF), version_base="1.3"),
            pytest.raises(InputError, match=r"could not be made.*: better, seed 0") if failing else nullcontext(),
        ):
            ask(options | {"budget": budget}, "mine")
    page = (tmp_path / "studies" / "mine" / "index.html").read_text(encoding="utf-8")
    assert ("3 runs are missing" in page) == failing


def test_what_more_seeds_can_not_decide_gets_none(tmp_path: Path, planner: Planner) -> None:
    """All pairs are equal, as where a technique changes nothing in so few steps."""
    for seed in range(3):
        for arm in ("none", "better"):
            make(tmp_path, PlannedRun("none", seed, planner.plan(arm, seed).overrides, ""))
            (tmp_path / f"none-{seed}").rename(tmp_path / f"{arm}-{seed}-made")
    plans = [planner.plan(arm, seed) for seed in range(3) for arm in ("none", "better")]
    records, _ = read_records(Runs([str(tmp_path)]).counted(plans), DEFINITION.merits)
    result = analyse(DEFINITION, records)
    assert [judged.judgement for judged in result.claims] == ["undecided"]
    assert undecided_arms(result) == set()
    (judged,) = analyse(DEFINITION, [record for record in records if record.seed == 0]).claims
    assert "too few pairs" in outlook(judged.parts[0][1])


def test_a_run_that_was_rolled_back_is_told(tmp_path: Path, planner: Planner) -> None:
    plan = planner.plan("none", 0)
    make(tmp_path, plan)
    run = RunFolder(tmp_path / "none-0")
    run.history.add("rolled back", to_step=40, why="the generator's loss is nan")
    run.history.add("finished")
    records, _ = read_records(Runs([str(tmp_path)]).counted([plan]), DEFINITION.merits)
    assert troubles_of(records[0])[ROLLED_BACK] == 40


def test_an_arm_may_leave_an_option_out() -> None:
    """``~`` is of a shell in paths alone."""
    without = [f"~model.{player}_optimizer.betas" for player in ("generator", "discriminator")]
    arms = {"none": [], "rmsprop": ["optimizer=rmsprop", *without]}
    study = DEFINITION.model_dump() | {"arms": arms, "claims": [], "question": "Are ~20 % gained?"}
    assert resolve(OmegaConf.create({"study": study}))["study"]["arms"] == arms
    with initialize_config_dir(str(CONF), version_base="1.3"):
        options = Planner(StudyDefinition.model_validate(study)).options("rmsprop", 0)
    assert "RMSprop" in options["model"]["generator_optimizer"]["_target_"]


def test_code_is_compared_among_runs_of_the_same_classes(tmp_path: Path, planner: Planner) -> None:
    """A technique of one's own makes no other code of the runs that are without it."""
    codes = {("none", 0): "", ("none", 1): "", ("better", 0): "mine", ("better", 1): "mine"}
    for (arm, seed), code in codes.items():
        make(tmp_path, planner.plan(arm, seed))
        RunFolder(tmp_path / f"{arm}-{seed}").history.add("finished", own_code_sha256=code)
    plans = [planner.plan(arm, seed) for arm, seed in codes]

    def warnings() -> list[str]:
        return other_code(read_records(Runs([str(tmp_path)]).counted(plans), DEFINITION.merits)[0])

    assert not warnings()
    RunFolder(tmp_path / "better-1").history.add("finished", own_code_sha256="changed")
    (warning,) = warnings()
    assert "better-1" in warning
