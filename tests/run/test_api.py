"""``import gans``: the same as the commands, from Python."""

import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import numpy
import pytest
import torch
from hydra import compose, initialize_config_dir, version
from hydra.core.global_hydra import GlobalHydra

import gans
from gans.config.schema import ONE_OF
from gans.errors import InputError
from gans.run import api, in_process
from gans.run.checkpoint_files import newest_whole
from gans.run.folder import RunFolder
from gans.run.generate import generate
from gans.run.trained import write_generator
from tests.configs import CONF, composed, mostly_slow, narrow
from tests.run.runs import assert_same_training, do_at, request, start, tiny

ONE_STEP = tiny("trainer.max_steps=1")


@pytest.fixture(autouse=True)
def _hydra_is_not_in_use() -> Iterator[None]:
    GlobalHydra.instance().clear()
    yield
    assert not GlobalHydra.instance().is_initialized()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> gans.Run:
    """A conditional run of two steps."""
    options = tiny("model=cgan", "data.classes=[3,7,8]", "trainer.max_steps=2", *narrow("model=cgan"))
    return gans.train(*options, f"runs={tmp_path_factory.mktemp('runs')}")


def handlers() -> dict[int, Any]:
    return {number: signal.getsignal(number) for number in signal.valid_signals()}


# --- the package ------------------------------------------------------------------------------------------------------


def test_importing_the_package_imports_nothing_that_takes_time() -> None:
    code = "import gans, sys; print(sorted({'torch', 'hydra', 'numpy', 'matplotlib'} & {*sys.modules}), *dir(gans))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.startswith("[]")
    assert {*gans.__all__} <= {*shown.split()}


def test_every_public_name_is_there_and_documented() -> None:
    assert gans.__all__ == api.__all__
    for name in gans.__all__:
        assert getattr(gans, name).__doc__, name
    misspelt = "trian"
    with pytest.raises(AttributeError, match=misspelt):
        getattr(gans, misspelt)


# --- compose ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        pytest.param(("model=acgan", "stabilize=[ema,r1]", "stabilize.ema.decay=0.9"), marks=pytest.mark.slow),
        pytest.param(("experiment=r3gan", "seed=3"), marks=pytest.mark.slow),
    ],
    ids=" ".join,
)
def test_a_config_is_the_commands_from_any_folder_and_time_after_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overrides: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert gans.compose(*overrides).model_dump() == composed(*overrides)
        GlobalHydra.instance().clear()  # which ``composed`` leaves


def test_runs_are_called_as_the_command_calls_them() -> None:
    config = gans.compose(*tiny("trainer.max_steps=2", "data.classes=[3,8]", "stabilize=ema"))
    assert config.run_name == "digits38-limit24-autoencoder-msle-ema-2epochs-2steps-seed0"


def test_hydra_stays_as_it_was() -> None:
    with initialize_config_dir(str(CONF), version_base="1.2"):
        hydra = GlobalHydra.instance().hydra
        gans.compose("seed=5")
        with pytest.raises(InputError):
            gans.compose("seed=-5")
        assert GlobalHydra.instance().hydra is hydra
        assert str(version.getbase()) == "1.2"
        assert compose("config", ["seed=7"]).seed == 7


@pytest.mark.parametrize(
    "override",
    mostly_slow(3, [
        "data=dgits", "sed=1", "seed=-1", "seed=0,1", "seed", "resume=runs/a", "test=runs/a", "draw=runs/a", "model=3",
        "hydra.run.dir=x", "model=[dcgan]", "stabilize=[ema,ema]", "data.classes=[3", "~model", "runs=", "data=nowhere",
    ]),
)  # fmt: skip
def test_what_the_command_refuses_is_an_input_error_in_one_line(override: str) -> None:
    with pytest.raises(InputError) as error:
        gans.compose(override)
    assert "\n" not in str(error.value)
    assert "multirun" not in str(error.value)


@pytest.mark.parametrize("function", [gans.compose, gans.train])
@pytest.mark.parametrize("wrong", [["data=digits"], None, 5], ids=str)
def test_what_is_no_text_is_no_override(function: Callable[..., Any], wrong: Any) -> None:
    with pytest.raises(InputError, match=rf"type {type(wrong).__name__}.*\*options"):
        function("seed=1", wrong)


def test_a_package_without_its_options_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_process, "CONF", tmp_path / "conf")
    with pytest.raises(InputError, match="pip install -e"):
        gans.compose()


OWN = """
from gans.stabilize.base import Stabilizer


class Quiet(Stabilizer):
    \"\"\"Changes nothing.\"\"\"

    def after_generator(self, gan):
        pass
"""


def test_every_group_may_have_choices_of_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    usual = {"data": "digits", "model": "dcgan", "objective": "bce", "sampling": "all", "trainer": "default"}
    assert {*usual} == {*ONE_OF}
    for group, name in usual.items():
        (tmp_path / group).mkdir()
        shutil.copy(CONF / group / f"{name}.yaml", tmp_path / group / f"my_{name}.yaml")
    config = gans.compose(*(f"{group}=my_{name}" for group, name in usual.items()), config_dir=tmp_path)
    assert config.model_dump() == gans.compose("data=digits", "model=dcgan").model_dump()
    assert config.run_name == "my_digits-my_dcgan-my_bce-none-my_all-seed0"


@pytest.mark.slow
def test_choices_of_the_users_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    mine = tmp_path / "my [own], {é}"
    (mine / "stabilize").mkdir(parents=True)
    (mine / "quiet_idea.py").write_text(OWN)
    (mine / "stabilize" / "quiet.yaml").write_text("quiet:\n  _target_: quiet_idea.Quiet\n")
    made = gans.train(*ONE_STEP, "stabilize=quiet", f"runs={tmp_path / 'runs'}", config_dir=mine)
    assert made.config["stabilize"] == {"quiet": {"_target_": "quiet_idea.Quiet"}}
    for trust in (None, ()):
        with pytest.raises(InputError, match=r"trust=\[quiet_idea\]"):
            gans.resume(made.path, max_steps=2, trust=trust)
    assert gans.resume(made.path, max_steps=numpy.int64(2), trust=["quiet_idea"]).config["trainer"]["max_steps"] == 2
    capsys.readouterr()
    gans.resume(made.path, trust=["quiet_idea"], config_dir=mine)  # finished: prints a command that trains it longer
    words = shlex.split(capsys.readouterr().out)
    assert words[words.index("--config-dir") + 1] == str(mine)
    sys.path.remove(str(mine))
    gans.load(made.path, trust=["quiet_idea"], config_dir=mine)
    assert str(mine) in sys.path
    for function in (gans.compose, partial(gans.load, made.path)):
        with pytest.raises(InputError, match="nowhere"):
            function(config_dir="nowhere")


# --- train and resume -------------------------------------------------------------------------------------------------


def test_training_is_the_commands_and_leaves_the_process_as_it_was(tmp_path: Path) -> None:
    before, threads = handlers(), torch.get_num_threads()
    overrides = (*tiny("trainer.max_steps=2"), f"runs={tmp_path / 'python'}")
    made = gans.train(gans.compose(*overrides))
    assert handlers() == before
    assert torch.get_num_threads() == threads
    assert made.path == tmp_path / "python" / "digits-limit24-autoencoder-msle-none-2epochs-2steps-seed0"
    command = start(tmp_path / "command", "trainer.max_steps=2")
    assert_same_training(RunFolder(made.path), command)
    assert gans.train(*overrides).path.name == f"{made.path.name}_2"


def test_an_interrupted_run_is_resumed(tmp_path: Path) -> None:
    before = handlers()
    with pytest.MonkeyPatch.context() as patch:
        do_at(patch, "between the players", 2, lambda _: signal.raise_signal(signal.SIGINT))
        with pytest.raises(gans.InterruptedTraining, match=r"train\.py resume="):
            gans.train(*tiny(), f"runs={tmp_path}")
    assert handlers() == before
    (path,) = tmp_path.iterdir()
    made = gans.resume(path)
    assert made.curves["train/generator_loss"]["step"].tolist() == [2, 4, 6]
    assert handlers() == before


@pytest.mark.parametrize("group", ["data", "model", "objective", "trainer"])
def test_a_group_that_was_left_out_is_one_line(group: str) -> None:
    with pytest.raises(InputError) as error:
        gans.compose("data=digits", f"~{group}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "wrong",
    [
        ("data=dgits",),
        *(
            pytest.param(each, marks=pytest.mark.slow)
            for each in [(5,), ("seed=1", "seed=2,3"), ("data.batch_size=5000",)]
        ),
    ],
    ids=str,
)
def test_nothing_is_left_of_a_run_that_can_not_be(tmp_path: Path, wrong: tuple[Any, ...]) -> None:
    with pytest.raises(InputError):
        gans.train(*tiny(), f"runs={tmp_path}", *wrong)
    with pytest.raises(InputError):
        gans.train(gans.compose(*ONE_STEP), "seed=1")
    assert not list(tmp_path.iterdir())


def test_a_config_that_was_changed_is_refused() -> None:
    changed = gans.compose(*ONE_STEP)
    changed.data["limit"] = 16
    for config in (changed, gans.compose(*ONE_STEP).model_copy(update={"seed": 4})):
        with pytest.raises(InputError, match="compose another"):
            gans.train(config)


def test_a_loss_that_is_not_finite_is_a_training_error(tmp_path: Path) -> None:
    optimizer = "model.generator_optimizer.lr=1e30"
    with pytest.raises(gans.TrainingError):
        gans.train(*tiny(optimizer, "trainer.max_epochs=30"), f"runs={tmp_path}")


def test_in_another_thread_a_run_ends_as_well_and_says_what_can_not_stop_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, made = handlers(), []
    thread = Thread(target=lambda: made.append(gans.train(*ONE_STEP, f"runs={tmp_path}")))
    thread.start()
    thread.join()
    assert made[0].test
    assert "main thread" in capsys.readouterr().err
    assert handlers() == before


def test_one_run_trains_at_a_time(run: gans.Run, tmp_path: Path) -> None:
    """Others, and generators that are loaded meanwhile, would change its random numbers."""
    with in_process.ONE_RUN:
        for other in (lambda: gans.train(*ONE_STEP, f"runs={tmp_path}"), lambda: gans.load(run.path)):
            with pytest.raises(gans.InputError, match="process"):
                other()
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_what_the_caller_has_set_in_pytorch_changes_nothing_and_stays(run: gans.Run, tmp_path: Path) -> None:
    images, number = gans.load(run.path).sample(9, seed=4), torch.rand(1, generator=torch.Generator().manual_seed(3))
    command = start(tmp_path / "command", "trainer.max_steps=1")
    try:
        torch.set_default_dtype(torch.float64)
        torch.set_default_device("meta")
        torch.manual_seed(3)
        with torch.inference_mode():
            assert numpy.array_equal(gans.load(run.path).sample(9, seed=4), images)
            made = gans.train(*ONE_STEP, f"runs={tmp_path / 'python'}")
        assert torch.get_default_dtype() == torch.float64
        assert torch.get_default_device().type == "meta"
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)
    assert torch.equal(torch.rand(1), number)
    assert_same_training(RunFolder(made.path), command)


# --- load -------------------------------------------------------------------------------------------------------------


def test_samples_are_those_of_the_command_to_the_bit(run: gans.Run) -> None:
    checkpoint = newest_whole(run.path / "checkpoints", "last")
    assert checkpoint is not None
    for options in ({}, {"classes": [7, 3]}, {"truncation": 0.5}, {"classes": ["8"], "truncation": 2.0}):
        written = generate(request(run.path, count=9, seed=4, npz=True, **options))
        expected = numpy.load(written / "images.npz")["images"]
        for path in (run.path, str(run.path / "generator.safetensors"), checkpoint):
            images = gans.load(path).sample(9, seed=4, **options)
            assert images.dtype == numpy.uint8
            assert numpy.array_equal(images, expected)
    walked = generate(request(run.path, count=3, walk=2, classes=[3, 8], npz=True))
    images = gans.load(run.path).walk(3, 2, classes=(3, 8))
    assert numpy.array_equal(images, numpy.load(walked / "images.npz")["images"])
    arrays: dict[str, Any] = {"walk": numpy.array(2), "seed": numpy.array(0), "classes": numpy.array([3, 8])}
    with_numpy = gans.load(run.path).walk(numpy.int64(3), **arrays)
    assert numpy.array_equal(with_numpy, images)


def test_a_loaded_generator_tells_what_it_is(run: gans.Run) -> None:
    generator = gans.load(run.path)
    assert generator.classes == ["3", "7", "8"]
    assert generator.config["model"] == run.config["model"]
    assert generator.training_steps == 2
    assert not generator.network.training
    assert generator.network.takes_classes


@pytest.mark.parametrize(
    "options",
    [{"count": 0}, {"count": 1.5}, {"count": 2, "seed": -1}, {"count": 2, "classes": [5]}, {"count": 2, "classes": []},
     {"count": 2, "classes": "37"}, {"count": 2, "classes": numpy.array(3)}, {"count": 2, "truncation": 0},
     {"count": 2, "walk": None}],
    ids=str,
)  # fmt: skip
def test_samples_that_make_no_sense_are_refused(run: gans.Run, options: dict[str, Any]) -> None:
    generator = gans.load(run.path)
    with pytest.raises(InputError):
        (generator.walk if "walk" in options else generator.sample)(**options)


@pytest.mark.parametrize(
    "trust", ["fractions", *(pytest.param(each, marks=pytest.mark.slow) for each in [None, (), 5, [None]])], ids=str
)
def test_a_file_is_trusted_by_a_list_of_packages_only(tmp_path: Path, trust: Any) -> None:
    config = gans.compose("data=digits").model_dump()
    config["model"]["generator"]["_target_"] = "fractions.Fraction"
    write_generator(torch.nn.Identity(), config, 1, tmp_path / "generator.safetensors")
    with pytest.raises(InputError, match="^trust" if trust else r"trust=\[fractions\]"):
        gans.load(tmp_path / "generator.safetensors", trust)


# --- results ----------------------------------------------------------------------------------------------------------


def test_a_runs_results_are_read_and_nothing_is_written(run: gans.Run) -> None:
    files = {path: path.stat().st_mtime_ns for path in run.path.rglob("*")}
    read = gans.Run(str(run.path / "checkpoints"))
    assert read.path == run.path
    assert read.config["seed"] == 0
    assert read.curves["train/generator_loss"].keys() == {"step", "epoch", "value"}
    assert read.test["generator_loss"] == read.test_results.checkpoints["last"].results["generator_loss"]
    assert read.floors == {}
    assert read.verdict.not_judged
    assert read.grids[-1].step == 2
    assert read.class_names[3] == "3"
    assert "models.txt" in [path.name for path in read.figures]
    assert {path: path.stat().st_mtime_ns for path in run.path.rglob("*")} == files


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([], "not tested yet: wait if it is running.*resume="),
        (["started", "rolled back"], "not tested yet: wait if it is running.*resume="),
        (["started", "stopped"], "not tested yet: resume it.*resume="),
        (["started", "failed"], "failed.*test="),
        (["started", "finished"], r"json' is damaged or lost.*test="),
    ],
)
def test_what_is_not_there_yet_is_neither_damaged_nor_lost(tmp_path: Path, events: list[Any], said: str) -> None:
    run = RunFolder.create(tmp_path, {"stabilize": {"quiet": {"_target_": "quiet_idea.Quiet"}}})
    for event in events:
        run.history.add(event, training_step=1, why="a test")
    for attribute in ("test", "test_results", "verdict"):
        with pytest.raises(InputError, match=said) as error:
            getattr(gans.Run(tmp_path), attribute)
        assert "trust=[quiet_idea]" in str(error.value)


def test_folders_that_are_no_run_and_damaged_files_are_input_errors(run: gans.Run, tmp_path: Path) -> None:
    reads: list[Callable[[Any], Any]] = [gans.Run, gans.load, gans.resume]
    for read in reads:
        with pytest.raises(InputError, match="nowhere"):
            read(tmp_path / "nowhere")
        with pytest.raises(InputError, match="NoneType"):
            read(None)
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("config.yaml", "metrics.csv"):
        (copy / name).write_bytes((run.path / name).read_bytes())
    (copy / "verdict.json").write_text("{}")
    read_copy = gans.Run(copy)
    for attribute in ("test", "verdict"):
        with pytest.raises(InputError):
            getattr(read_copy, attribute)
