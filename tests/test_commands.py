"""The commands as a person types them: bad input is one line, an exit code, and nothing half-written."""

import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf
from PIL import Image
from safetensors.torch import save_file

from gans.run.checkpoint_files import CheckedCheckpoints
from gans.run.machine import find_accelerator, speaks_of_gpu
from gans.run.export import FORMAT
from tests.conftest import ROOT

SMALL = ["data=digits", "trainer.max_epochs=1", "trainer.max_steps=2", "samples.count=10", "samples.frames=1",
         "evaluated_images=100", "metric.synthetic_accuracy.images=300"]  # fmt: skip
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """(module, arguments) -> exit code, output, error output; run in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(name: str, *arguments: str) -> tuple[int, str, str]:
        GlobalHydra.instance().clear()
        monkeypatch.setattr(sys, "argv", [str(ROOT / name), *arguments])
        capfd.readouterr()
        code = 0
        try:
            runpy.run_path(str(ROOT / name), run_name="__main__")
        except SystemExit as ending:
            code = int(ending.code or 0)
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return call


ABSENT = "cuda" if torch.backends.mps.is_available() else "mps"
"""An accelerator that no machine with the other one has."""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model=dcgann"], r"unknown model 'dcgann' \(did you mean 'dcgan'\?\): choose from acgan, autoencoder, dcgan"),
        (["data=ring", "model=mlp", "data.batch_size=1"], "data.batch_size=1 leaves BatchNorm nothing.*use 2 or more"),
        (["data=digits", "data.batch_size=33", "stabilize=packing"], "data.batch_size=33 .*multiple of 2"),
        (["data=cifar"], "unknown data 'cifar'.*: choose from .*digits, .*mnist"),
        (["stabilize=nois"], "unknown stabilize 'nois'.*label_smoothing"),
        (["stabilize=[noisy_labels,smooth]"], "unknown stabilize 'smooth'"),
        (["experiment=report_c"], "unknown experiment 'report_c'.*report_a"),
        (["model.generater.latent_size=3"], "unknown option 'model.generater.latent_size'"),
        (["lr=1"], r"unknown option 'lr' \(did you mean 'model.*optimizer.lr'"),
        (["model.generator_optimizer.lr=abc"], "model.generator_optimizer.lr=abc"),
        (["model.generator_optimizer.lr=-1"], "[Ii]nvalid learning rate: -1"),
        (
            ["stabilize=noisy_labels", "stabilize.noisy_labels.flip_probability=1.5"],
            "flip_probability=1.5: .*less than",
        ),
        (["stabilize=label_smoothing", "stabilize.label_smoothing.width=-0.1"], "width=-0.1: .*greater than"),
        (["data.digits=[11]"], "data.digits.*11"),
        (["data.digits=[]"], "data.digits"),
        (["data.limit=0"], "data.limit=0"),
        (["data.batch_size=5000"], "batch_size=5000 is more than the 1200 training images"),
        (["+data.limits=3"], "data.limits is not an option"),
        (["model.discriminator_fakes=eval"], "discriminator_fakes=eval: .*'inference' or 'training'"),
        (["model=acgan", "data.digits=[8]"], "two or more"),
        (["model=autoencoder", "model.generator_batches=2"], "generator_batches=1"),
        (["trainer.precision=7-bit"], "trainer.precision=7-bit: .*'bf16-mixed'"),
        (["trainer.max_epochs=0"], "trainer.max_epochs=0"),
        (["trainer.max_epochs=null"], "how long to train"),
        ([f"trainer.accelerator={ABSENT}"], f"trainer.accelerator={ABSENT} is not here: .*trainer.accelerator=auto"),
        (["seed=-1"], "seed=-1"),
        (["seed=one"], "seed=one"),
        (["objective._target_=os.system"], "_target_=os.system"),
        (["trainer._target_=nonsense", "trainer.accelerator=[cuda]"], "_target_=nonsense"),
        (["runs=/dev/null/runs"], "can't make '/dev/null/runs"),
        (["data.invert=off"], "data.invert=off: .*boolean"),
        (["data.limit=100.0"], "data.limit=100.0: .*integer"),
        (["data.digits=['8']"], r"data.digits\[0\]=8: .*integer"),
        (["log_every='5'"], "log_every=5: .*integer"),
        (["objective=wasserstein", "objective.bounded=no"], "objective.bounded=no: .*boolean"),
        (["trainer.devices=2"], "trainer.devices=2: "),
        (["trainer.precision=16-true"], "trainer.precision=16-true: .*'bf16-mixed'"),
        (["+trainer.fast_dev_run=true"], "trainer.fast_dev_run is not an option"),
        (["+stabilize.foo.bar=1"], "stabilize.foo is given options, but is not chosen or no stabilize option"),
        (["experiment=conditional", "stabilize=ema"], r"stabilize.r1 is given options, but .* drop .* ~stabilize\.r1"),
        (["metric=nope"], "unknown metric 'nope'.*fid"),
        (["metric.kid.subset=0"], "metric.kid.subset=0: .*greater than"),
        (["evaluated_images=0"], "evaluated_images=0"),
        (["model=[dcgan"], "."),
        (["objective=null"], "a config group takes the name of one of its files"),
        (["~data"], "data is not chosen: use data="),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_line_and_leaves_nothing(
    command: Command, tmp_path: Path, arguments: list[str], message: str
) -> None:
    data = [] if arguments[0].startswith("data=") else ["data=digits"]
    code, output, errors = command("train.py", *data, *arguments)
    assert code == 2
    assert output == ""
    assert re.fullmatch(r"error: [^\n]+\n", errors), errors
    assert re.search(message, errors), errors
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["resume", "test"])
def test_a_run_that_exists_keeps_its_own_config(command: Command, option: str) -> None:
    for name, message in (("nowhere", "'nowhere' is not a run folder"), ("3", "'3' is not a run folder")):
        code, _, errors = command("train.py", f"{option}={name}")
        assert (code, message in errors) == (2, True)
    code, _, errors = command("train.py", f"{option}=nowhere", "seed=5", "model=acgan")
    assert (code, "can't be combined with seed=5 model=acgan" in errors) == (2, True)


def test_a_checkpoint_of_another_model_is_not_resumed(command: Command, tmp_path: Path) -> None:
    command("train.py", "model=autoencoder", *SMALL)
    command("train.py", "model=dcgan", *SMALL)
    runs = tmp_path / "runs"
    source, target = runs / "digits-autoencoder-msle-none-seed0", runs / "digits-dcgan-bce-none-seed0"
    for file in (source / "checkpoints").glob("last.ckpt*"):
        shutil.copy(file, target / "checkpoints")
    before = (target / "metrics.csv").read_bytes()
    for option in ("resume", "test"):
        code, output, errors = command("train.py", f"{option}={target}")
        assert (code, output, "is of another model" in errors) == (2, "", True)
    assert (target / "metrics.csv").read_bytes() == before


def test_a_checkpoint_whose_layers_are_other_ones_is_refused(command: Command, tmp_path: Path) -> None:
    command("train.py", "model=dcgan", *SMALL)
    run = tmp_path / "runs" / "digits-dcgan-bce-none-seed0"
    last = run / "checkpoints" / "last.ckpt"
    contents = torch.load(last, weights_only=True)
    contents["state_dict"]["discriminator.layers.7.weight"] = contents["state_dict"].pop(
        "discriminator.layers.5.weight"
    )
    CheckedCheckpoints().save_checkpoint(contents, last)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    for option in ("resume", "test"):
        code, _, errors = command("train.py", f"{option}={run}")
        assert code == 2
        assert re.fullmatch(r"error: '[^\n]+' was written by another version[^\n]+layers\.5\.weight[^\n]+\n", errors), (
            errors
        )
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_the_commands_of_the_readme(command: Command, tmp_path: Path) -> None:
    code, output, _ = command("train.py", "model=wgan", "stabilize=noisy_labels", *SMALL)
    folder = tmp_path / "runs" / "digits-wgan-wasserstein_bounded-noisy_labels-seed0"
    assert code == 0
    assert str(folder.relative_to(tmp_path) / "figures") in output.splitlines()[-1]
    assert "cpu" in output.splitlines()[0]

    code, output, _ = command("generate.py", f"run={folder}", "count=7", "npz=true", "pngs=true")
    written = folder / "generated"
    assert code == 0
    assert str(written) in output
    images = numpy.load(written / "images.npz")["images"]
    assert images.shape == (7, 28, 28)
    assert numpy.array_equal(images[6], numpy.asarray(Image.open(written / "0006.png")))
    assert (written / "grid.png").is_file()

    command("generate.py", f"run={folder}", "count=7", "npz=true")
    again = numpy.load(folder / "generated_2" / "images.npz")["images"]
    command("generate.py", f"run={folder}/checkpoints/last.ckpt", "count=3", "npz=true", "seed=1")
    other = numpy.load(folder / "generated_3" / "images.npz")["images"]
    assert numpy.array_equal(again, images)
    assert not numpy.array_equal(other, images[:3])


def test_classes_are_chosen_for_a_conditional_gan_only(command: Command, tmp_path: Path) -> None:
    command("train.py", "model=acgan", "data.digits=[1,3,7]", *SMALL)
    command("train.py", "model=dcgan", *SMALL)
    conditional, plain = (
        tmp_path / "runs" / name for name in ("digits137-acgan-bce-none-seed0", "digits-dcgan-bce-none-seed0")
    )
    code, _, _ = command("generate.py", f"run={conditional}", "classes=[7,3]", "count=4", "npz=true")
    assert code == 0
    assert numpy.load(conditional / "generated" / "images.npz")["labels"].tolist() == [7, 7, 3, 3]
    code, _, errors = command("generate.py", f"run={conditional}", "classes=[5]")
    assert (code, "[1, 3, 7]" in errors) == (2, True)
    code, _, errors = command("generate.py", f"run={plain}", "classes=[5]")
    assert (code, "can't be asked for a digit" in errors) == (2, True)


def test_generated_pairs_of_the_autoencoder_are_held_out_digits(command: Command, tmp_path: Path) -> None:
    command("train.py", "model=autoencoder", "data.digits=[8]", "data.batch_size=32", *SMALL)
    folder = tmp_path / "runs" / "digits8-autoencoder-msle-none-seed0"
    code, _, errors = command("generate.py", f"run={folder}", "count=12", "npz=true")
    assert code == 0, errors
    assert set(numpy.load(folder / "generated" / "images.npz")["labels"].tolist()) == {8}
    code, _, errors = command("generate.py", f"run={folder}", "count=1000")
    assert (code, "held-out images" in errors) == (2, True)


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("owned",)


def test_files_that_are_no_generator_are_refused_and_run_nothing(command: Command, tmp_path: Path) -> None:
    torch.save(Evil(), tmp_path / "evil.ckpt")
    torch.save({"a": 1}, tmp_path / "other.ckpt")
    torch.save(Evil(), tmp_path / "payload.pt")
    foreign = {
        "foreign": {"_target_": "os.mkdir", "path": "owned"},
        "through": {"_target_": "gans.run.folder.csv.os.mkdir", "path": "owned"},
        "loader": {"_target_": "gans.run.network_summary.torch.load", "f": "payload.pt", "weights_only": False},
        "class": {"_target_": "gans.run.folder.Path", "path": "owned"},
        "inner": {"_target_": "gans.models.dcgan.DCGANGenerator", "latent_size": {"_target_": "gans.run.folder.new_folder"}},
        "arguments": {"_target_": "gans.models.dcgan.DCGANGenerator", "_args_": ["owned"]},
    }
    for name, generator in foreign.items():
        config = {"model": {"generator": generator}, "data": {"digits": [1]}}
        torch.save({"state_dict": {}, "config": config, "training_steps": 1}, tmp_path / f"{name}.ckpt")
    odd: dict[str, dict[str, object]] = {
        "empty": {},
        "no_data": {"model": {"generator": {"_target_": "x"}}},
        "list": {"model": []},
    }
    for name, described in odd.items():
        torch.save({"state_dict": {}, "config": described, "training_steps": 1}, tmp_path / f"{name}.ckpt")
    torch.save({"state_dict": [], "config": {}, "training_steps": 1}, tmp_path / "state.ckpt")
    metadata = {"format": FORMAT, "config": "{", "training_steps": "1"}
    save_file({"a": torch.zeros(1)}, tmp_path / "broken.safetensors", metadata)
    (tmp_path / "text.safetensors").write_text("nothing")
    (tmp_path / "empty").mkdir()
    (tmp_path / "no_checkpoint").mkdir()
    OmegaConf.save({"data": {}}, tmp_path / "no_checkpoint" / "config.yaml")
    files = [f"{name}.ckpt" for name in ("evil", "other", "state", *foreign, *odd)]
    for name in (*files, "text.safetensors", "broken.safetensors", "empty", "no_checkpoint", "nowhere"):
        code, _, errors = command("generate.py", f"run={name}")
        assert code == 2, name
        assert re.fullmatch(r"(warning: [^\n]+\n)?error: [^\n]+\n", errors), errors
        assert name in errors
    assert not (tmp_path / "owned").exists()
    code, _, errors = command("generate.py")
    assert (code, "run" in errors) == (2, True)


def test_a_checkpoint_of_another_model_is_refused(command: Command, tmp_path: Path) -> None:
    command("train.py", "model=dcgan", *SMALL)
    path = tmp_path / "runs" / "digits-dcgan-bce-none-seed0" / "checkpoints" / "last.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["config"]["model"]["generator"] = {"_target_": "gans.models.autoencoder.AutoencoderGenerator"}
    torch.save(checkpoint, path)
    code, _, errors = command("generate.py", f"run={path}")
    assert (code, "is damaged" in errors) == (2, True)
    CheckedCheckpoints().save_checkpoint(checkpoint, path)
    code, _, errors = command("generate.py", f"run={path}")
    assert (code, "does not fit" in errors) == (2, True)


@pytest.mark.slow
def test_a_sweep_in_real_processes(tmp_path: Path) -> None:
    arguments = ["-m", "model=dcgan,autoencoder", "stabilize=none,[label_smoothing,noisy_labels]", "seed=0,1", *SMALL]
    done = subprocess.run(
        [sys.executable, str(ROOT / "train.py"), *arguments], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    folders = sorted(path.name for path in (tmp_path / "runs").glob("digits-*"))
    assert len(folders) == 8
    assert "digits-dcgan-bce-label_smoothing+noisy_labels-seed1" in folders


def test_a_real_process_answers_bad_input_in_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "train.py"), "data=digits", "data.limit=0"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert re.fullmatch(r"error: data\.limit=0[^\n]+\n", done.stderr)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("option", ["resume", "test"])
def test_a_folder_of_another_version_is_refused_in_one_line(command: Command, tmp_path: Path, option: str) -> None:
    run = tmp_path / "old"
    (run / "checkpoints").mkdir(parents=True)
    (run / "config.yaml").write_text("seed: 0\n")
    contents = {"state_dict": {}, "config": {}, "training_steps": 1, "records": {"rows": 0, "events": {}}}
    CheckedCheckpoints().save_checkpoint(contents, run / "checkpoints" / "last.ckpt")
    code, _, errors = command("train.py", f"{option}={run}")
    assert code == 2
    assert re.fullmatch(r"error: runs is missing from the config: [^\n]+\n", errors), errors


def answered_without_torch(name: str, arguments: list[str]) -> str:
    """What a real process prints as errors, among lines that say what it imported."""
    python = [sys.executable, "-X", "importtime", str(ROOT / name)]
    errors = subprocess.run([*python, *arguments], capture_output=True, text=True).stderr
    assert re.search(r"\| +gans\.options$", errors, re.MULTILINE)
    assert not re.search(r"\| +(torch|lightning|matplotlib)$", errors, re.MULTILINE)
    return errors


@pytest.mark.parametrize("name", ["train.py", "generate.py", "features.py"])
@pytest.mark.parametrize("arguments", [["--help"], ["data=dgits"], ["data.rot=here"]], ids=" ".join)
def test_help_and_misspelt_options_do_not_wait_for_torch(name: str, arguments: list[str]) -> None:
    errors = answered_without_torch(name, arguments)
    assert bool(re.search(r"^error: ", errors, re.MULTILINE)) is (arguments != ["--help"])


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("train.py", ["data.batch_size=0"]),
        ("train.py", ["seed=-1"]),
        ("train.py", ["model=acgan", "model.discriminator.dropout=1"]),
        ("train.py", ["model.generator_optimizer.lr=fast"]),
        ("train.py", ["stabilize=[ema,r1]", "stabilize.r1.weight=-1"]),
        ("train.py", ["trainer.precision=16"]),
        ("train.py", ["+trainer.fast_dev_run=true"]),
        ("train.py", ["+model.generator_optimizer.beta=0.5"]),
        ("train.py", ["+objective.margin=0.5"]),
        ("train.py", ["objective=wasserstein", "+objective.margin=0.5"]),
        ("generate.py", ["run=here", "count=0"]),
        ("features.py", ["data.split_seed=one"]),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_wrong_values_do_not_wait_for_torch(name: str, arguments: list[str]) -> None:
    errors = answered_without_torch(name, arguments)
    option, _, value = arguments[-1].lstrip("+").partition("=")
    assert re.search(
        rf"^error: {re.escape(option)}(={re.escape(value)}: \w| is not an option of ).*$", errors, re.MULTILINE
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trainer.max_epochs=null"], "how long to train? give trainer.max_epochs or trainer.max_steps"),
        (
            ["model=mlp"],
            "MLPGenerator makes points, but Digits has images: use another model=... or other data=...",
        ),
        (
            ["data=ring"],
            "DCGANGenerator makes images, but Ring has points: use another model=... or other data=...",
        ),
        (
            ["model=stacked_small"],
            "StackedGenerator makes 3-channel images, but Digits has 1-channel images: use another model=... or other "
            "data=...",
        ),
        (
            ["data.limit=20"],
            "data.batch_size=32 is more than data.limit=20 training samples: use a smaller batch or more samples",
        ),
        (
            ["data=ring", "model=mlp", "data.train_size=5"],
            "data.batch_size=100 is more than data.train_size=5 training samples: use a smaller batch or more samples",
        ),
        (["model.generator._target_=5"], "model.generator._target_=5: give the full name of a class"),
        (["data._target_=null"], "data._target_=None: give the full name of a class"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_does_not_go_together_does_not_wait_for_torch(arguments: list[str], message: str) -> None:
    errors = answered_without_torch("train.py", ["data=digits", *arguments])
    assert f"error: {message}" in errors.splitlines()


def test_a_feature_network_s_batch_does_not_wait_for_torch() -> None:
    errors = answered_without_torch("features.py", ["data=digits", "data.limit=20"])
    assert re.search(r"^error: data\.batch_size=128 is more than data\.limit=20 ", errors, re.MULTILINE)


@pytest.mark.parametrize("jobs", [1, 2])
def test_members_of_a_sweep_are_answered_without_torch(jobs: int, tmp_path: Path) -> None:
    """In processes of their own, too, of which -X importtime says nothing."""
    (tmp_path / "torch.py").write_text("raise SystemExit('torch is imported')")
    python = [sys.executable, str(ROOT / "train.py"), "-m", "data=digits", "data.limit=20", "seed=0,1"]
    ended = subprocess.run(
        [*python, f"hydra.launcher.n_jobs={jobs}", f"hydra.sweep.dir={tmp_path}/sweep", f"runs={tmp_path}/runs"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
    )
    assert ended.returncode == 2
    assert ended.stderr.count("data.batch_size=32 is more than data.limit=20 training samples") == 4
    assert "torch is imported" not in ended.stderr


without_gpu = pytest.mark.skipif(find_accelerator() is not None, reason="there is a GPU here")


@without_gpu
def test_a_gpu_that_there_is_not_does_not_wait_for_torch() -> None:
    errors = answered_without_torch("train.py", ["data=digits", "trainer.accelerator=gpu"])
    assert re.search(r"^error: trainer.accelerator=gpu is not here: .* there is none\. ", errors, re.MULTILINE)


@without_gpu
def test_a_sweep_does_not_ask_torch_for_a_gpu_that_there_is_not() -> None:
    errors = answered_without_torch("train.py", ["-m", "data=digits", "model.width=1,2"])
    assert "error: unknown option 'model.width': --cfg job shows all options" in errors.splitlines()


@pytest.mark.parametrize(
    ("file", "text", "speaks"),
    [
        ("dev/nvidia0", "", True),
        ("dev/kfd", "", True),
        ("proc/driver/nvidia/version", "", True),
        ("sys/module/nvidia/refcnt", "", True),
        ("sys/bus/pci/devices/0000:01:00.0/vendor", "0x10de\n", True),
        ("sys/bus/pci/devices/0000:01:00.0/vendor", "0x8086\n", False),
        ("dev/null", "", False),
    ],
)
def test_files_of_linux_speak_of_a_gpu(file: str, text: str, speaks: bool, tmp_path: Path) -> None:
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text(text)
    assert speaks_of_gpu(tmp_path) is speaks


def test_torch_is_asked_for_a_gpu_where_it_is_imported_whatever_files_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cuda"))
    monkeypatch.setattr("gans.run.machine.speaks_of_gpu", lambda _: False)
    assert find_accelerator() == "cuda"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["data=digits", "model.generator.channels=2"], "the model's networks don't fit data=digits, 1x28x28: "),
        (["data=stacked_digits"], "ResidualGenerator makes samples of 1x28x28, but data=digits has 3x28x28: "),
    ],
)
def test_channels_that_are_options_are_compared_with_the_data_s(
    command: Command, arguments: list[str], message: str
) -> None:
    code, _, errors = command("train.py", "model=residual", *arguments)
    assert code == 2
    assert re.fullmatch(rf"error: {message}[^\n]*[uU]se another model or other data\n", errors)


def test_a_run_that_there_is_not_does_not_wait_for_torch() -> None:
    errors = answered_without_torch("generate.py", ["run=nowhere"])
    assert "error: there is no 'nowhere': give a run folder or one of its checkpoints" in errors.splitlines()


@pytest.mark.parametrize("option", ["data.batch_size=-1", "+data.batch=3"])
def test_a_wrong_option_is_one_line_in_a_process_of_its_own(option: str) -> None:
    """Before and after imports, which have much to say, at their end too; other tests of this file don't see that."""
    python = [sys.executable, str(ROOT / "train.py"), "data=digits", option]
    ended = subprocess.run(python, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert re.fullmatch(rf"error: {re.escape(option.lstrip('+').partition('=')[0])}\b.*\n", ended.stderr), ended.stderr
