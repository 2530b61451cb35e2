"""study.py: what is missing is made, what is there is used, and every wrong question is one line."""

import csv
import html
import re
import shutil
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from matplotlib.figure import Figure

from gans.errors import InputError
from gans.files import write_json
from gans.run.folder import runs_in
from gans.study.analyse import StudyResult, analyse
from gans.study.ask import as_in_study, ask, seeds_so_far, this_command
from gans.study.existing import by_number
from gans.study.figures_of_merit import figure_of_merit
from gans.study.find import different_spacings
from gans.study.make_runs import require_same_number
from gans.study.page import Commands
from gans.study.plan import Planner, require_metrics, require_moments, split_differences
from gans.study.publish import publish
from gans.study.record import read_record
from tests.configs import CONF, ROOT, composed, mostly_slow
from tests.forked import run
from tests.run.runs import tiny
from tests.study.synthetic import PROTOCOL, figures_of, read_verdict, write_run
from tests.study.test_known_truth import definition
from tests.test_commands import OUTSIDE


def runs_of(folder: Path, arms: dict[str, str], seeds: int = 6, **changes: Any) -> None:
    for arm, stabilizer in arms.items():
        config = composed("data=digits", f"stabilize={stabilizer}") | changes
        for seed in range(seeds):
            write_run(folder / f"{arm}-{seed}", config | {"seed": seed}, figures_of(arm, seed))


def question(*overrides: str) -> dict[str, Any]:
    return composed(*overrides, config_name="study")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.usefixtures("without_figures")
def test_runs_that_exist_are_compared_by_a_group(tmp_path: Path) -> None:
    runs_of(tmp_path / "runs", {"none": "none", "better": "ema"})
    page = ask(question(f"runs=[{tmp_path}/runs]", "by=stabilize", f"output={tmp_path}", "figures=[fid]"), None)
    assert page.is_file()
    (found,) = rows(page.parent / "comparisons.csv")
    assert (found["arm"], found["than"], found["pairs"]) == ("ema", "none", "6")
    assert page.read_text(encoding="utf-8").count("<pre>") == 1  # the command that compares, and none that makes runs
    links = sorted((page.parent / "tensorboard").glob("*/*"))
    assert not links or all(link.is_symlink() for link in links)


@pytest.mark.slow
@pytest.mark.usefixtures("without_figures")
def test_ways_to_sample_are_compared(tmp_path: Path) -> None:
    """Their figures have other names, since a name says which samples it is of."""
    for choice, protocol in (("all", PROTOCOL), ("drs", "1000_80drs_digits1")):
        config = composed("data=digits", f"sampling={choice}")
        for seed in range(3):
            name = tmp_path / "runs" / f"{choice}-{seed}"
            write_run(name, config | {"seed": seed}, figures_of(choice, seed), protocol=protocol)
    page = ask(question(f"runs=[{tmp_path}/runs]", "by=sampling", "baseline=Sampling", f"output={tmp_path}"), None)
    found = rows(page.parent / "comparisons.csv")[0]
    assert (found["arm"], found["than"], found["pairs"]) == ("RejectionSampling", "Sampling", "3")


@pytest.mark.usefixtures("without_figures")
def test_runs_that_failed_may_come_first(tmp_path: Path) -> None:
    """What decides is what other runs have; a figure without a place on its scale is none."""
    for arm, weight in (("a failed", 1.0), ("b", 2.0)):
        config = composed("data=digits", "stabilize=r1", f"stabilize.r1.weight={weight}")
        for seed in range(3):
            failed_at = 500 if arm == "a failed" and seed == 0 else None
            figures = {"fid": 5.0 + seed, "mode_kl": 0.0, "modes": 0.0}
            write_run(tmp_path / "runs" / f"{arm}-{seed}", config | {"seed": seed}, figures, failed_at=failed_at)
    by = [f"runs=[{tmp_path}/runs]", "by=stabilize.r1.weight", f"output={tmp_path}"]
    for baseline in ("2.0", "2"):
        page = ask(question(*by, f"baseline={baseline}"), None)
        found = rows(page.parent / "comparisons.csv")
        assert {(each["arm"], each["than"]) for each in found} == {("1", "2")}
        assert {"fid", "modes"} <= {each["figure"] for each in found}
        assert "mode_kl" not in {each["figure"] for each in found}
    for path in (tmp_path / "runs").glob("*-[12]"):
        shutil.rmtree(path)
    shutil.rmtree(tmp_path / "runs" / "b-0")
    write_run(tmp_path / "runs" / "b-0", config | {"seed": 0}, {"fid": 5.0}, failed_at=500)
    with pytest.raises(InputError, match="no run has a figure"):
        ask(question(*by), None)


@pytest.mark.usefixtures("without_figures")
def test_other_settings_are_never_mixed_in_silence(tmp_path: Path) -> None:
    runs_of(tmp_path / "runs", {"none": "none"})
    runs_of(tmp_path / "runs", {"better": "ema"}, evaluated_images=77)
    asked = question(f"runs=[{tmp_path}/runs/*]", "by=stabilize", f"output={tmp_path}", "figures=[fid]")
    with pytest.raises(InputError, match="evaluated_images"):
        ask(asked, None)
    page = ask(asked | {"allow_differences": True}, None).read_text(encoding="utf-8")
    assert "evaluated_images is" in page


@pytest.mark.usefixtures("without_figures")
def test_figures_of_two_feature_networks_of_one_name_are_compared_with_a_warning(tmp_path: Path) -> None:
    """As where it was trained again, or on another machine."""
    runs_of(tmp_path / "runs", {"none": "none", "better": "ema"}, seeds=3)
    config = composed("data=digits", "stabilize=ema") | {"seed": 3}
    write_run(tmp_path / "runs" / "more", config, figures_of("better", 3), features="1" * 64)
    page = ask(question(f"runs=[{tmp_path}/runs]", "by=stabilize", f"output={tmp_path}", "figures=[fid]"), None)
    assert "the feature network digits1 changed between" in (page.parent / "study.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_letters_that_a_studys_figures_lack_are_named_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs_of(tmp_path / "runs", {"none": "none", "better": "ema"}, seeds=2)
    study = definition(arms={"none": [], "日本": ["stabilize=ema"]}, claims=[], figures=["fid"], seeds=2)
    arms = {"none": "none", "better": "日本"}
    records = [read_record(run, arms[run.name.partition("-")[0]], study.merits) for run in runs_in(tmp_path / "runs")]
    publish(analyse(study, records), tmp_path / "out", Commands(""))
    errors = capsys.readouterr().err
    assert sum("日本" in line for line in errors.splitlines()) == 1
    assert "Glyph" not in errors


@pytest.mark.usefixtures("without_figures")
def test_figures_of_validations_have_a_protocol_too(tmp_path: Path) -> None:
    runs_of(tmp_path / "runs", {"none": "none"}, seeds=3)
    for seed in range(3):
        config = composed("data=digits", "stabilize=ema") | {"seed": seed}
        figures = figures_of("better", seed)
        write_run(tmp_path / "runs" / f"better-{seed}", config, figures, protocol="100_digits1")
    asked = question(f"runs=[{tmp_path}/runs]", "by=stabilize", f"output={tmp_path}", "figures=[fid@300]")
    with pytest.raises(InputError, match=rf"fid@300.*fid_100_digits1.*fid_{PROTOCOL}"):
        ask(asked, None)


@pytest.mark.usefixtures("without_figures")
@pytest.mark.parametrize(("figure", "warns"), [("late_fluctuation.discriminator_loss", True), ("fid", False)])
def test_fluctuations_of_curves_with_different_spacings_are_compared_with_a_warning(
    tmp_path: Path, figure: str, warns: bool
) -> None:
    """A run is the same whatever its log_every, but for its curves."""
    runs_of(tmp_path / "runs", {"none": "none"})
    runs_of(tmp_path / "runs", {"better": "ema"}, log_every=77)
    page = ask(question(f"runs=[{tmp_path}/runs/*]", "by=stabilize", f"output={tmp_path}", f"figures=[{figure}]"), None)
    assert ("log_every=77" in page.read_text(encoding="utf-8")) == warns
    assert different_spacings(runs_in(tmp_path / "runs"), [figure_of_merit("late_fluctuation.fid")]) == []


@pytest.mark.parametrize(
    ("overrides", "word"),
    [
        ([], "study"),
        (["by=stabilize", "runs=[nowhere]"], "nowhere"),
        (["by=stabilize", "runs=[a/**x]"], "pattern"),
        (["by=objective"], "same kind"),
        (["by=nothing"], "nothing"),
        (["by=seed"], "by=seed"),
        (["by=stabilize", "baseline=r1"], "r1"),
        (["by=stabilize", "figures=[mine]"], "mine"),
        (["by=stabilize", "figures=[coverage]"], "coverage"),
        (["by=stabilize", "output=/proc/version/out"], "version"),
        (["by=stabilize", "seeds=1"], "seeds"),
        (["by=stabilize", "seeds=3"], "seeds"),
        (["by=stabilize", "budget=3"], "budget"),
        (["by=stabilize", "figures=[]"], "figures"),
        (["by=stabilize", "figures=[{name: recall, scale: ratio, better: lower, matters: 0.5}]"], "matters"),
        (["by=stabilize", "figures=[{name: fid, scale: share, better: lower}]"], "share"),
    ],
)
def test_wrong_questions_are_refused(tmp_path: Path, overrides: list[str], word: str) -> None:
    runs_of(tmp_path / "runs", {"none": "none", "better": "ema"}, seeds=2)
    with pytest.raises(InputError, match=word):
        ask(question(f"runs=[{tmp_path}/runs]", f"output={tmp_path}/out", *overrides), None)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "override", ["baseline=0", "baseline=false", "by=model", "allow_differences=true", "budget=3", "figures=[]"]
)
def test_an_option_without_an_effect_on_a_study_is_refused(tmp_path: Path, override: str) -> None:
    asked = question("study=first_steps", f"runs=[{tmp_path}/runs]", f"output={tmp_path}/out", "run=false", override)
    with pytest.raises(InputError, match=override.partition("=")[0]):
        ask(asked, "first_steps")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("override", ["hydra/launcher=slurm", "hydra.launcher.n_jobs=2"])
@pytest.mark.parametrize("asked", [["study=first_steps", "run=false"], ["by=stabilize"]])
def test_what_makes_no_runs_takes_no_launcher(tmp_path: Path, asked: list[str], override: str) -> None:
    hydra = SimpleNamespace(overrides=SimpleNamespace(hydra=[override]))
    with pytest.raises(InputError, match=override.partition("=")[0]):
        ask(question(*asked, f"output={tmp_path}/out"), "first_steps" if "run=false" in asked else None, hydra)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("override", ["hydra/launcher=slurm", "hydra.launcher.n_jobs=2"])
def test_a_pages_command_makes_runs_in_the_same_way(monkeypatch: pytest.MonkeyPatch, override: str) -> None:
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)
    given = ["study=first_steps", "budget=3", override]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("study", given, return_hydra_config=True)
    HydraConfig.instance().set_config(config)
    assert {"study=first_steps", "seeds=9", override} <= {*this_command(seeds=9).split()}
    assert "budget" not in this_command()


@pytest.mark.parametrize("override", ["seed=1", "runs=a", "hydra.launcher.n_jobs=2", "hydra/launcher=slurm"])
def test_what_is_no_setting_of_a_run_is_none_of_an_arm(override: str) -> None:
    with pytest.raises(InputError, match="arm"):
        definition(claims=[], arms={"a": [], "b": ["model=cgan", override]}, baseline="a")


def test_a_single_seed_answers_nothing(tmp_path: Path) -> None:
    runs_of(tmp_path / "runs", {"none": "none", "better": "ema"}, seeds=1)
    with pytest.raises(InputError, match="seed"):
        ask(question(f"runs=[{tmp_path}/runs]", "by=stabilize", f"output={tmp_path}"), None)


def test_one_arm_has_one_kind_of_samples(tmp_path: Path) -> None:
    runs_of(tmp_path / "runs", {"none": "none", "better": "ema"}, seeds=3)
    config = composed("data=digits", "stabilize=none") | {"seed": 1}
    shutil.rmtree(tmp_path / "runs" / "none-1")
    write_run(tmp_path / "runs" / "none-1", config, figures_of("none", 1), protocol="1000_80drs_digits1")
    with pytest.raises(InputError, match=r"different ways.*80drs"):
        ask(question(f"runs=[{tmp_path}/runs]", "by=stabilize", f"output={tmp_path}", "figures=[fid]"), None)


def test_what_is_no_longer_asked_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures, and TensorBoard's curves, of an earlier answer under the same name; files of the user's own stay."""

    def blank(result: StudyResult, _: object) -> dict[str, Figure]:
        return {f"{kind}_{merit.name}": Figure() for kind in ("effects", "runs") for merit in result.definition.merits}

    monkeypatch.setattr("gans.study.publish.draw_all", blank)
    runs_of(tmp_path / "runs", {"none": "none", "better": "ema"}, seeds=3)
    for folder in (tmp_path / "runs").iterdir():
        (folder / "tensorboard").mkdir(exist_ok=True)
    page = ask(question(f"runs=[{tmp_path}/runs]", "by=stabilize", f"output={tmp_path}", "figures=[fid,recall]"), None)
    links, figures = page.parent / "tensorboard", page.parent / "figures"
    assert len([*links.glob("*/*")]) == 6
    (figures / "my_notes.pdf").touch()
    shutil.rmtree(tmp_path / "runs" / "none-2")
    ask(question(f"runs=[{tmp_path}/runs]", "by=stabilize", f"output={tmp_path}", "figures=[recall]"), None)
    assert len([*links.glob("*/*")]) == 5
    assert not [*figures.glob("effects_fid.*"), *figures.glob("runs_fid.*")]
    assert [*figures.glob("effects_recall.*")]
    assert (figures / "my_notes.pdf").exists()


@pytest.mark.parametrize(("by", "meant"), [("optimizer", "optimizer"), ("lr", "model.*lr"), ("stabilise", "stabilize")])
def test_an_option_that_runs_lack_is_told_with_one_that_they_have(tmp_path: Path, by: str, meant: str) -> None:
    runs_of(tmp_path / "runs", {"none": "none"}, seeds=2)
    with pytest.raises(InputError, match=f"did you mean '.*{meant}"):
        ask(question(f"runs=[{tmp_path}/runs]", f"by={by}", f"output={tmp_path}"), None)


@pytest.mark.parametrize(
    ("overrides", "message"),
    mostly_slow(3, [
        (["trainer.max_step=20"], "did you mean 'trainer.max_steps'.*python train.py --cfg job"),
        (["data.root=/x"], "data.root"),
        (["stabilize=emma"], "unknown stabilize 'emma'.*ema"),
        (["stabilize=[ema", "r1]"], 'quotes: "stabilize='),
        (["stabilize=ema", "r1"], 'quotes: "stabilize='),
        (["stabilize=null"], "stabilize=null: a config group takes the name"),
        (["stabilize=[ema,ema]"], "name each choice once"),
        (["stabilize=[none,ema]"], "none stands alone"),
        (["rollbacks=3"], "on_nan=rollback"),
        (["figure=none", "formats=[pdf]"], "figure=none draws none"),
        (["log_every=1,2"], r"more than one value.*an arm each"),
    ]),
)  # fmt: skip
def test_a_mistake_in_an_arm_names_it_and_speaks_of_train(overrides: list[str], message: str) -> None:
    asked = definition(common=["data=digits"], arms={"none": [], "mine": overrides}, claims=[])
    with initialize_config_dir(str(CONF), version_base="1.3"), pytest.raises(InputError, match=message) as error:
        Planner(asked)
    assert str(error.value).startswith("arm 'mine': ")
    assert "study." not in str(error.value)


def test_a_figure_that_no_metric_computes_is_refused_before_training() -> None:
    config = composed("data=digits", "metric=[fid]")
    require_metrics(definition(claims=[], figures=["fid", "late_fluctuation.fid"]), "none", config)
    tested = ["discriminator_accuracy", "best.generator_loss", "class_share_3", "fid_of_3"]
    scales = [{"name": name, "scale": "difference", "better": "lower", "matters": 0.1} for name in tested]
    require_metrics(definition(claims=[], figures=scales), "none", config)
    for figure in ("coverage", "best.coverage", "recall@100", "coverage_of_3", "fid_of_all"):
        with pytest.raises(InputError, match="fid"):
            require_metrics(definition(claims=[], figures=[figure]), "none", config)
    require_metrics(definition(claims=[], figures=["best.fid"]), "none", config)
    for figure in ("coverage@500", "rank_correlation.training_step.coverage"):
        asked = {"name": figure, "scale": "correlation", "better": "lower"}
        with pytest.raises(InputError, match=r"metric\.density_coverage\.during_training=true"):
            require_metrics(
                definition(claims=[], figures=[asked]), "none", composed("data=digits", "metric=[density_coverage]")
            )
    unvalidated = composed("data=digits", "metric=[fid]", "metric.fid.during_training=false")
    with pytest.raises(InputError, match=r"metric\.fid\.during_training=true"):
        require_metrics(definition(claims=[], figures=["late_fluctuation.fid"]), "none", unvalidated)
    with pytest.raises(InputError, match="best checkpoint has the lowest FID of validations"):
        require_metrics(definition(claims=[], figures=["best.fid"]), "none", unvalidated)


def test_a_figure_after_the_end_of_training_is_refused_before_it() -> None:
    asked = definition(claims=[], figures=["fid@100"])
    require_moments(asked, "none", composed("data=digits", "trainer.max_steps=100"))
    require_moments(asked, "none", composed("data=digits", "trainer.max_steps=null"))
    with pytest.raises(InputError, match="99 steps"):
        require_moments(asked, "none", composed("data=digits", "trainer.max_steps=99"))


def test_a_figure_at_a_step_without_a_validation_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    runs_of(tmp_path / "runs", {"none": "none", "better": "ema"}, seeds=2)
    asked = question(f"runs=[{tmp_path}/runs]", "by=stabilize", f"output={tmp_path}", "figures=[fid@350]")
    with pytest.raises(InputError, match=r"'fid@350': .*fid@300, fid@400") as error:
        ask(asked, None)
    assert "too short" not in str(error.value)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("test.json", "{"),
        ("test.json", None),
        ("verdict.json", "{"),
        pytest.param("verdict.json", "[]", marks=pytest.mark.slow),
        pytest.param("history.json", '[{"event": "finished"}]', marks=pytest.mark.slow),
        pytest.param("history.json", '[{"event": "finished", "time": "noon"}]', marks=pytest.mark.slow),
        pytest.param("history.json", '[{"event": "failed", "time": "2026-01-01"}]', marks=pytest.mark.slow),
        pytest.param("metrics.csv", "x\n1", marks=pytest.mark.slow),
    ],
)
@pytest.mark.usefixtures("without_figures")
def test_any_damage_leaves_out_one_run(tmp_path: Path, file: str, text: str | None) -> None:
    runs_of(tmp_path / "runs", {"none": "none", "better": "ema"}, seeds=3)
    path = tmp_path / "runs" / "none-1" / file
    if text is None:
        path.unlink()
    else:
        path.write_text(text)
    asked = question(f"runs=[{tmp_path}/runs]", "by=stabilize", f"output={tmp_path}", "figures=[fid]")
    page = ask(asked, None)
    assert len(rows(page.parent / "runs.csv")) == 5
    for name in ("study.md", "index.html"):
        assert f"none-1/{file}" in (page.parent / name).read_text(encoding="utf-8")


@pytest.mark.usefixtures("without_figures")
def test_damaged_pictures_and_versions_cost_only_themselves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs_of(tmp_path / "runs", {"none": "none", "better": "ema"}, seeds=3)
    damaged = next((tmp_path / "runs" / "none-1" / "samples").glob("step_*.npz"))
    damaged.write_bytes(b"PK")
    (tmp_path / "runs" / "none-2" / "versions.json").write_text("{")
    asked = question(f"runs=[{tmp_path}/runs]", "by=stabilize", f"output={tmp_path}", "figures=[fid]")
    page = ask(asked, None)
    assert len(rows(page.parent / "runs.csv")) == 6
    errors = capsys.readouterr().err
    assert str(damaged) in errors
    assert "none-2/versions.json" in errors
    text = page.read_text(encoding="utf-8")
    assert "samples of none, seed 0" in text
    assert "samples of none, seed 1" not in text


@pytest.mark.parametrize(
    ("damaged", "file"),
    [("*", "config.yaml"), ("*", "history.json"), ("none-*", "history.json"), ("*-1", "history.json"),
     ("*-1", "verdict.json")],
)  # fmt: skip
def test_a_refusal_names_the_damaged_runs_without_which_there_are_too_few(
    tmp_path: Path, damaged: str, file: str
) -> None:
    """Of all runs, of an arm, and of a seed."""
    runs_of(tmp_path / "runs", {"none": "none", "better": "ema"}, seeds=2)
    for folder in (tmp_path / "runs").glob(damaged):
        (folder / file).write_text("{")
    with pytest.raises(InputError, match=file):
        ask(question(f"runs=[{tmp_path}/runs]", "by=stabilize", f"output={tmp_path}"), None)


def test_more_seeds_are_more_than_the_study_and_any_arm_has(tmp_path: Path) -> None:
    runs_of(tmp_path / "runs", {"none": "none", "better": "ema"}, seeds=3)
    for seeds, expected in ((2, 3), (3, 3), (8, 8)):
        study = definition(arms={"none": [], "better": ["stabilize=ema"]}, claims=[], figures=["fid"], seeds=seeds)
        records = [read_record(run, run.name.partition("-")[0], study.merits) for run in runs_in(tmp_path / "runs")]
        assert seeds_so_far(analyse(study, records)) == expected


@pytest.mark.usefixtures("without_figures")
def test_runs_without_a_partner_are_named_and_no_pairs_are_refused(tmp_path: Path) -> None:
    """The arms are data.limit=null and 50: the value null has a name too."""
    for limit, seeds in (("null", range(3)), ("50", range(2, 6))):
        for seed in seeds:
            config = composed("data=digits", f"data.limit={limit}") | {"seed": seed}
            write_run(tmp_path / "runs" / f"{limit}-{seed}", config, figures_of("x", seed))
    by = (f"runs=[{tmp_path}/runs]", "by=data.limit", f"output={tmp_path}", "figures=[fid]")
    page = ask(question(*by, 'baseline="null"'), None)
    assert [each["than"] for each in rows(page.parent / "comparisons.csv")] == ["null"]
    assert "has seed 0, 1, 3, 4, 5, which one" in page.read_text(encoding="utf-8")
    shutil.rmtree(tmp_path / "runs" / "50-2")
    with pytest.raises(InputError, match="no arm has a seed of the baseline '50', which has 3, 4, 5:"):
        ask(question(*by), None)


def test_an_arm_is_one_setting(tmp_path: Path) -> None:
    """Runs of EMA with another decay are no seeds of the same arm."""
    runs_of(tmp_path / "runs", {"none": "none", "better": "ema"}, seeds=3)
    config = composed("data=digits", "stabilize=ema", "stabilize.ema.decay=0.5") | {"seed": 7}
    write_run(tmp_path / "runs" / "other", config, figures_of("better", 7))
    asked = question(f"runs=[{tmp_path}/runs]", "by=stabilize", f"output={tmp_path}")
    with pytest.raises(InputError, match=r"stabilize\.ema\.decay"):
        ask(asked, None)


def test_arms_that_are_numbers_are_in_order() -> None:
    arms = ["1000", "null", "1e-05", "200", "0.0001"]
    assert sorted(arms, key=by_number) == ["1e-05", "0.0001", "200", "1000", "null"]


@pytest.mark.slow
@pytest.mark.usefixtures("without_figures")
def test_models_and_numbers_are_arms(tmp_path: Path) -> None:
    for number, (model, rate) in enumerate([("dcgan", "1e-3"), ("acgan", "1e-3"), ("dcgan", "1e-4")]):
        config = composed("data=digits", f"model={model}", f"model.generator_optimizer.lr={rate}")
        for seed in range(2):
            write_run(tmp_path / f"runs{number}" / str(seed), config | {"seed": seed}, figures_of("x", seed))
    common = (f"output={tmp_path}", "figures=[fid]", "allow_differences=true")
    page = ask(question(f"runs=[{tmp_path}/runs0,{tmp_path}/runs1]", "by=model", *common), None)
    assert {each["arm"] for each in rows(page.parent / "runs.csv")} == {"DCGANGenerator", "ACGANGenerator"}
    both = f"runs=[{tmp_path}/runs0,{tmp_path}/runs2]"
    with pytest.raises(InputError, match=r"by=model\.generator_optimizer\.lr"):
        ask(question(both, "by=model", *common), None)
    page = ask(question(both, "by=model.generator_optimizer.lr", "baseline=1e-3", *common), None)
    assert [each["than"] for each in rows(page.parent / "comparisons.csv")] == ["0.001"]


@pytest.mark.usefixtures("without_figures")
def test_arms_are_judged_on_the_same_images(tmp_path: Path) -> None:
    runs_of(tmp_path / "runs", {"none": "none"}, seeds=2)
    for seed in range(2):
        config = composed("data=digits", "data.classes=[3,8]") | {"seed": seed}
        write_run(tmp_path / "runs" / f"other-{seed}", config, figures_of("x", seed))
    asked = question(f"runs=[{tmp_path}/runs]", "by=data.classes", f"output={tmp_path}", "figures=[fid]")
    with pytest.raises(InputError, match=r"data\.classes"):
        ask(asked, None)
    assert "judged on other data" in ask(asked | {"allow_differences": True}, None).read_text(encoding="utf-8")


def test_tests_of_other_sizes_are_refused_before_training() -> None:
    arms = {"eight": ["data.classes=[8]"], "one": ["data.classes=[1]"]}
    for common, is_refused in ((["data=digits"], True), (["data=digits", "evaluated_images=30"], False)):
        asked = definition(common=common, arms=arms, baseline="one", claims=[], other_data=True, figures=["fid"])
        with initialize_config_dir(str(CONF), version_base="1.3"):
            planner = Planner(asked)
        with pytest.raises(InputError, match=r"evaluated_images=\d+ to common") if is_refused else nullcontext():
            require_same_number(asked, planner)


def test_a_figure_named_alone_is_compared_as_the_study_says() -> None:
    study = {"figures": ["fid", {"name": "loss", "scale": "difference", "matters": 0.05}]}
    assert as_in_study(["loss", "recall"], study) == [study["figures"][1], "recall"]
    other = {"name": "loss", "scale": "ratio"}
    assert as_in_study([other], study) == [other]


def test_runs_that_go_on_elsewhere_are_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gans.study.ask.run_missing", lambda *_: (set(), "1 member goes on"))
    asked = question("study=first_steps", f"runs=[{tmp_path}]", f"output={tmp_path}/out")
    with initialize_config_dir(str(CONF), version_base="1.3"):
        assert ask(asked, "first_steps") == tmp_path / "out" / "first_steps"


@pytest.mark.parametrize(
    ("one", "other", "differ"),
    [
        (["data=ring"], ["data=ring", "data.modes=25"], "data.modes"),
        (["data=grid"], ["data=grid", "data.spacing=1.0"], "data.spacing"),
        (["data=digits"], ["data=digits", "data.limit=50", "data.label_noise=0.3", "data.batch_size=7"], ""),
        (["data=mnist", "data.root=a"], ["data=mnist", "data.root=b"], ""),
    ],
)
def test_data_options_that_decide_what_is_held_out(one: list[str], other: list[str], differ: str) -> None:
    found = split_differences({"one": composed("model=mlp", *one), "other": composed("model=mlp", *other)})
    assert ([*found, ""][0] == "") == (differ == "")
    assert differ in " ".join(found)


@pytest.mark.usefixtures("without_figures")
def test_what_a_verdict_could_not_judge_is_said(tmp_path: Path) -> None:
    runs_of(tmp_path / "runs", {"none": "none", "better": "ema"}, seeds=2)
    path = tmp_path / "runs" / "none-1" / "verdict.json"
    write_json(path, read_verdict(path) | {"labels": {}, "not_judged": {"divergence": "needs more points"}})
    asked = question(f"runs=[{tmp_path}/runs]", "by=stabilize", f"output={tmp_path}", "figures=[fid]")
    page = ask(asked, None)
    assert "0 of 2 runs, 1 not judged" in (page.parent / "study.md").read_text(encoding="utf-8")
    assert "None got a diagnosis" not in page.read_text(encoding="utf-8")


@pytest.mark.usefixtures("without_figures")
def test_the_commands_on_a_page_can_be_pasted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names with brackets, spaces and accents, settings that differ, a baseline and figures."""
    runs_of(tmp_path / "josé's [old]" / "runs", {"[none]": "none"}, seeds=2)
    runs_of(tmp_path / "josé's [old]" / "runs", {"better": "ema"}, seeds=2, evaluated_images=77)
    given = ["""runs=["josé's [old]/runs"]""", "by=stabilize", "baseline=ema", "figures=[{name: fid, matters: 1.3}]",
             "allow_differences=true", "output=my studies"]  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(ROOT / "study.py"), *given])
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        HydraConfig.instance().set_config(compose("study", given, return_hydra_config=True))
    page = ask(question(*given), None).read_text(encoding="utf-8")
    pasted = html.unescape(re.findall(r"<pre><code>(python [^<]*study\.py[^<]*)</code>", page)[0])
    shown = subprocess.run(["sh", "-c", rf"printf '%s\0' {pasted}"], capture_output=True, text=True, check=True).stdout
    _, script, *words = shown.split("\0")[:-1]
    assert Path(script).samefile(ROOT / "study.py")
    assert words == given


STUDY = """
question: Is it the same?
common: [{common}]
arms:
  none: []
  "[/mine]": [stabilize=louder]
baseline: none
seeds: 2
most_seeds: 3
figures: [late_fluctuation.discriminator_loss]
claims:
  - text: It is steadier.
    parts: [{{figure: late_fluctuation.discriminator_loss, arm: "[/mine]", expect: lower}}]
"""


@pytest.mark.slow
def test_a_study_makes_what_is_missing_and_no_more(tmp_path: Path) -> None:
    (tmp_path / "mine" / "study").mkdir(parents=True)
    budget = tiny("trainer.max_epochs=null", "trainer.max_steps=60", "log_every=2")
    text = STUDY.format(common=", ".join(f'"{override}"' for override in budget))
    (tmp_path / "mine" / "study" / "steady.yaml").write_text(text)
    (tmp_path / "mine" / "stabilize").mkdir()
    (tmp_path / "mine" / "stabilize" / "louder.yaml").write_text(
        "louder:\n  _target_: my_ideas.Louder\n  factor: 3.0\n"
    )
    (tmp_path / "mine" / "my_ideas.py").write_text(OUTSIDE)
    runs = tmp_path / "my runs, all"
    for seed in range(2):
        write_run(runs / f"none-{seed}", composed(*budget, f"seed={seed}"), figures_of("none", seed))
    kept = {path: path.stat().st_mtime_ns for path in runs.rglob("*") if path.is_file()}
    asked = ("study.py", "--config-dir", "mine", "study=steady", 'runs=["my runs, all"]')
    done = run(tmp_path, *asked)
    assert done.returncode == 0, done.stderr
    assert "2 of 2 members are done" in done.stdout
    made = sorted(path.name for path in runs.iterdir() if (path / "test.json").is_file())
    assert len(made) == 4
    assert "page: studies/steady/index.html" in done.stdout
    assert "so far" in done.stdout
    more = run(tmp_path, *asked, "budget=1")
    assert more.returncode == 0, more.stderr
    assert "1 of 1 members are done" in more.stdout
    assert len(rows(tmp_path / "studies" / "steady" / "runs.csv")) == 5
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
