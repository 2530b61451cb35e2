"""Which runs count as the same, and what runs are called."""

import subprocess
from copy import deepcopy
from datetime import date
from pathlib import Path
from typing import Any

import numpy
import pytest
from PIL import Image

from gans.config.resolve import flatten
from gans.config.validate import validate
from gans.errors import InputError
from gans.files import code_sha256, uncommitted
from gans.run import commands
from gans.run.folder import RunFolder, runs_in
from gans.run.history import Event
from gans.run.identity import may_have_changed, result_settings, run_name, same_runs, settings_text
from gans.run.test_results import read_results
from gans.stabilize import inputs
from gans.study.analyse import other_code, other_images
from gans.study.find import Runs
from gans.study.plan import PlannedRun
from gans.study.record import read_record
from tests.configs import composed, narrow, run_config
from tests.run.runs import assert_same, checkpoint, start, tiny

WITHOUT_EFFECT = (
    "log_every=3", "checkpoint.every_steps=1", "checkpoint.every_minutes=2", "samples.count=7", "samples.epochs=[1]",
    "samples.steps=[1]", "samples.frames=1", "figure=curves", "formats=[svg]", "trust=[somebody]",
)  # fmt: skip
"""A change of every option that does not count, but for where a run lies and what is done with it."""
FOLDER = "gans.data.folder.Folder"
ELSEWHERE = ("runs", "resume", "test", "draw", "data.root")


@pytest.mark.slow
def test_what_does_not_count_changes_no_weight_and_no_test_result(tmp_path: Path) -> None:
    base = ("model=dcgan", *narrow("model=dcgan"), "metric=fid", "evaluated_images=70")
    one, other = start(tmp_path / "one", *base), start(tmp_path / "other", *base, *WITHOUT_EFFECT)
    assert result_settings(one.config) == result_settings(other.config)
    for kind in ("last", "best"):
        assert_same(*(checkpoint(run, kind)["state_dict"] for run in (one, other)))
    first, second = (read_results(run.test_results_file) for run in (one, other))
    assert first == second


def changed(config: dict[str, Any], option: str) -> dict[str, Any]:
    """The config with another value of an option."""
    config = deepcopy(config)
    *path, last = option.split(".")
    node = config
    for name in path:
        node = node[name]
    node[last] = ["another"]
    return config


@pytest.mark.parametrize("choice", [("data=mnist",), ("experiment=lab_ring", "stabilize=[ema,r1]")])
def test_every_other_option_counts(choice: tuple[str, ...]) -> None:
    """A new option counts, unless somebody says otherwise and adds it to what is trained above."""
    config = composed(*choice)
    ignored = {text.partition("=")[0] for text in WITHOUT_EFFECT} | set(ELSEWHERE)
    for option in flatten(config):
        same = result_settings(changed(config, option)) == result_settings(config)
        assert same == (option in ignored or option.partition(".")[0] in ignored), option


@pytest.mark.parametrize("model", ["dcgan", "acgan", "cgan", "wgan_clipped"])
def test_a_run_from_before_widths_were_an_option_is_the_same(tmp_path: Path, model: str) -> None:
    config = composed("data=digits", f"model={model}")
    older = deepcopy(config)
    for network in ("generator", "discriminator"):
        del older["model"][network]["width"]
    run = RunFolder.create(tmp_path, older)
    run.history.add("started")
    assert same_runs(config, [run]) == [run]
    assert same_runs(older, [run]) == [run]  # a model's file that has no width
    config["model"]["generator"]["width"] = 8
    assert same_runs(config, [run]) == []


def test_a_config_of_something_else_is_that_of_no_run(tmp_path: Path) -> None:
    RunFolder.create(tmp_path, {"date": date(2024, 5, 1)})
    with pytest.raises(InputError, match="date"):
        settings_text(RunFolder(tmp_path).config)
    assert same_runs(composed("data=digits"), [RunFolder(tmp_path)]) == []
    assert len(Runs([str(tmp_path)]).damaged) == 1


def write_images(folder: Path, shade: int) -> None:
    random = numpy.random.default_rng(shade)
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for index in range(20):
            pixels = random.integers(0, shade, (28, 28), dtype=numpy.uint8)
            Image.fromarray(pixels).save(folder / name / f"{index}.png")


@pytest.mark.parametrize("changed", ["train", pytest.param("test", marks=pytest.mark.slow)])
def test_a_run_on_images_that_have_changed_is_another(tmp_path: Path, changed: str) -> None:
    """For a member of a sweep, which returns a finished run instead of making it again; a study warns of it."""
    for part in ("train", "test"):
        write_images(tmp_path / "images" / part, 100)
    config = run_config(
        "data=folder", f"data.root={tmp_path / 'images'}", "data.batch_size=8", "model=dcgan", "metric=none",
        "trainer.max_epochs=null", "trainer.max_steps=1", "figure=none", f"runs={tmp_path / 'runs'}",
    )  # fmt: skip
    first = commands.start_resume_or_return(config, "some")
    assert commands.start_resume_or_return(config, "some").path == first.path
    write_images(tmp_path / "images" / changed, 200)
    second = commands.start_resume_or_return(config, "some")
    assert second.path != first.path
    assert second.history.images != first.history.images
    records = [read_record(run, arm, []) for run, arm in ((first, "one"), (second, "other"))]
    (warning,) = other_images(records)
    assert first.path.name in warning
    assert not other_images(records[:1])


OWN = """
from gans.stabilize.base import Stabilizer
from own_strength import STRENGTH

class Own(Stabilizer):
    def after_discriminator(self, gan, batches):
        pass
"""


def test_a_technique_inside_the_package_counts_until_it_is_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = tmp_path / "clone"
    (clone / "gans" / "stabilize").mkdir(parents=True)
    for file in ("gans/__init__.py", "gans/files.py", "gans/stabilize/__init__.py", "gans/stabilize/old.py"):
        (clone / file).touch()
    new, old = clone / "gans" / "stabilize" / "new.py", clone / "gans" / "stabilize" / "old.py"

    def git(*arguments: str) -> None:
        who = ["-c", "user.name=me", "-c", "user.email=me@here"]
        subprocess.run(["git", "-C", str(clone), *who, *arguments], check=True, capture_output=True)

    def found() -> frozenset[Path]:
        uncommitted.cache_clear()  # as in a new process
        return uncommitted()

    monkeypatch.setattr("gans.files.__file__", str(clone / "gans" / "files.py"))
    assert not found()  # no clone
    git("init")
    git("add", ".")
    git("commit", "-m", "all")
    assert not found()
    new.write_text("STRENGTH = 1")
    assert found() == {new}
    git("add", ".")
    assert found() == {new}
    old.write_text("changed")
    assert found() == {new, old}
    git("commit", "-a", "-m", "my own")
    assert not found()
    (clone / ".git").rename(tmp_path / ".git")  # the package lies in a folder of a larger repository
    assert found() == set(clone.rglob("*.py"))
    uncommitted.cache_clear()

    monkeypatch.undo()
    code_sha256.cache_clear()
    assert code_sha256("gans.stabilize.inputs") == "" or Path(inputs.__file__) in uncommitted()
    monkeypatch.setattr("gans.files.uncommitted", lambda: {Path(inputs.__file__)})
    code_sha256.cache_clear()
    assert code_sha256("gans.stabilize.inputs") not in ("", None)
    assert code_sha256("gans.stabilize.weights") == ""
    code_sha256.cache_clear()


@pytest.mark.slow
def test_a_run_of_own_code_that_has_changed_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """For members of sweeps, wherever below the class the change is; a study prefers those of the present code."""
    monkeypatch.syspath_prepend(tmp_path)
    code_sha256.cache_clear()
    (tmp_path / "own_technique.py").write_text(OWN)
    helper = tmp_path / "own_strength.py"
    helper.write_text("STRENGTH = 1")
    (tmp_path / "not_imported.py").write_text("")
    options = composed(*tiny("trainer.max_steps=1"), f"runs={tmp_path / 'runs'}")
    config = validate(options | {"stabilize": {"own": {"_target_": "own_technique.Own"}}})
    plan = PlannedRun("arm", 0, (), settings_text(config.model_dump()))

    def found_by_a_study() -> Path | None:
        run = Runs([str(tmp_path / "runs")]).of(plan)
        return run.path if run else None

    first = commands.start_resume_or_return(config, "some")
    (tmp_path / "not_imported.py").write_text("changed = True")
    assert commands.start_resume_or_return(config, "some").path == first.path == found_by_a_study()
    helper.write_text("STRENGTH = 2")
    assert commands.start_resume_or_return(config, "some").path == first.path  # what runs is what was imported
    code_sha256.cache_clear()  # as in a new process
    assert found_by_a_study() == first.path
    (warning,) = Runs([str(tmp_path / "runs")]).of_other_code([plan])
    assert first.name in warning
    second = commands.start_resume_or_return(config, "some")
    assert second.path != first.path
    assert found_by_a_study() == second.path
    assert not Runs([str(tmp_path / "runs")]).of_other_code([plan])
    records = [read_record(run, arm, []) for run, arm in ((first, "one"), (second, "other"))]
    (warning,) = other_code(records)
    assert "own_technique.Own" in warning
    commands.test(second, config)
    assert "another version" not in capfd.readouterr().err
    commands.test(first, config)
    assert "another version of your own code" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("options", "may"),
    [
        (["data=mnist"], False), (["data=digits"], False), (["data=ring", "model=mlp"], False),
        ({"_target_": FOLDER, "root": "x"}, True), ({"_target_": "my_digits.MyDigits"}, True),
        ({"_target_": "gans.data.digits.Digits", "path": "my_digits.npz"}, True),
    ],
)  # fmt: skip
def test_a_leader_looks_for_finished_runs_where_images_can_not_change(options: Any, may: bool) -> None:
    config = composed(*options) if isinstance(options, list) else {"data": options}
    assert may_have_changed(config) == may


def test_code_that_was_changed_after_a_run_of_the_packages_own_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = start(tmp_path, "trainer.max_steps=1")
    assert first.history.own_code == {""}
    assert same_runs(first.config, [first]) == [first]
    monkeypatch.setattr("gans.run.identity.own_code_sha256", lambda _: "changed")
    assert not same_runs(first.config, [first])
    assert same_runs(first.config, [first], any_code=True) == [first]


def test_a_run_of_a_version_without_samplings_is_the_same_as_one_that_uses_all() -> None:
    config = composed("data=mnist")
    without = {name: option for name, option in config.items() if name != "sampling"}
    assert result_settings(without) == result_settings(config)
    assert result_settings(composed("data=mnist", "sampling=drs")) != result_settings(config)


def test_the_same_number_is_the_same_run_and_another_order_of_stabilizers_is_another(tmp_path: Path) -> None:
    options = ("data=digits", "stabilize=[instance_noise,r1]", "stabilize.r1.weight=1")
    one, other = composed(*options), composed(*options[:2], "stabilize.r1.weight=1.0")
    assert settings_text(one) == settings_text(other)
    turned = composed("data=digits", "stabilize=[r1,instance_noise]", options[2])
    assert settings_text(turned) != settings_text(one)  # what both do to the images, they do in this order
    (tmp_path / "run").mkdir()
    RunFolder.create(tmp_path / "run", one).history.add("finished")
    runs = runs_in(tmp_path)
    assert [len(same_runs(each, runs)) for each in (other, turned)] == [1, 0]


def test_the_folder_of_data_counts_where_no_checksum_verifies_them() -> None:
    config = composed("data=mnist")
    config["data"]["_target_"] = "mine.Data"
    assert result_settings(changed(config, "data.root")) != result_settings(config)


def test_runs_are_found_by_their_settings_finished_ones_first(tmp_path: Path) -> None:
    config = composed(*tiny())
    runs: list[tuple[str, int, Event]] = [("a", 0, "stopped"), ("b", 1, "finished"), ("c", 0, "finished")]
    for name, seed, event in runs:
        (tmp_path / name).mkdir()
        RunFolder.create(tmp_path / name, config | {"seed": seed}).history.add(event)
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "config.yaml").write_text("seed: [")
    with pytest.raises(InputError):
        _ = RunFolder(tmp_path / "damaged").config
    assert [run.name for run in same_runs(config, runs_in(tmp_path))] == ["c", "a"]
    assert same_runs(config | {"seed": 2}, runs_in(tmp_path)) == []
    assert runs_in(tmp_path / "nowhere") == []


@pytest.mark.parametrize(
    ("choices", "overrides", "name"),
    [
        ("digits dcgan bce", [], "digits-dcgan-bce-none-seed0"),
        ("digits dcgan bce", ["seed=7", "stabilize=[ema,packing]"], "digits-dcgan-bce-ema+packing-seed7"),
        ("digits dcgan bce", ["optimizer=keras_adam"], "digits-dcgan-bce-none-seed0"),
        ("digits dcgan bce", ["optimizer=adam", "stabilize=ema"], "digits-dcgan-bce-ema-adam-seed0"),
        (
            "digits dcgan bce",
            ["model.discriminator_optimizer._target_=torch.optim.AdamW"],
            "digits-dcgan-bce-none-kerasadam+adamw-seed0",
        ),
        (
            "digits dcgan bce",
            ["+stabilize={e/ma: {_target_: gans.stabilize.weights.EMA}}"],
            "digits-dcgan-bce-e_ma-seed0",
        ),
        ("digits dcgan bce", ["data.classes=[8,3]"], "digits83-dcgan-bce-none-seed0"),
        ("digits dcgan bce", ["trainer.max_epochs=50"], "digits-dcgan-bce-none-seed0"),
        ("digits dcgan bce", ["trainer.max_epochs=5"], "digits-dcgan-bce-none-5epochs-seed0"),
        ("digits dcgan bce", ["trainer.max_epochs=1"], "digits-dcgan-bce-none-1epoch-seed0"),
        ("digits dcgan bce", ["trainer.max_epochs=null", "trainer.max_steps=5"], "digits-dcgan-bce-none-5steps-seed0"),
        (
            "digits dcgan bce",
            ["data.limit=1000", "trainer.max_steps=5", "trainer.precision=bf16-mixed"],
            "digits-limit1000-dcgan-bce-none-5steps-bf16-seed0",
        ),
        ("ring mlp bce", ["data.train_size=500"], "ring-size500-mlp-bce-none-seed0"),
        ("ring mlp bce", ["experiment=lab_ring"], "ring-mlp-bce-none-2000steps-seed0"),
        ("mnist autoencoder msle", ["experiment=report_a"], "mnist8-autoencoder-msle-none-seed0"),
    ],
)
def test_names_tell_what_was_run(choices: str, overrides: list[str], name: str) -> None:
    chosen = dict(zip(("data", "model", "objective"), choices.split(), strict=True))
    groups = [f"{group}={choice}" for group, choice in chosen.items()]
    assert run_name(chosen, composed(*groups, *overrides), composed(*groups[:2])) == name
