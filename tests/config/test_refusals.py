"""What can't be done is answered in one line that names the option, before anything is written."""

import re
import sys
from pathlib import Path

import pytest
import torch

from gans.config.build import build_run
from gans.config.command_line import one_line_errors
from gans.config.validate import validate
from gans.errors import InputError
from gans.run.commands import start
from gans.run.make_features import make_features
from gans.run.output import new_folder
from tests.configs import ROOT, composed, run_config

ABSENT = "cuda" if torch.backends.mps.is_available() else "mps"
"""An accelerator that no machine with the other one has."""

POINTS = ["data=ring", "model=mlp"]

CASES = [
    # misspelt names
    (["model=dcgann"], r"model 'dcgann' .*'dcgan'.*acgan, autoencoder, cgan, dcgan"),
    (["data=cifar"], "data 'cifar'.*digits, .*mnist"),
    (["stabilize=nois"], "stabilize 'nois'.*label_smoothing"),
    (["stabilize=[noisy_labels,smooth]"], "stabilize 'smooth'"),
    (["experiment=report_c"], "experiment 'report_c'.*report_a"),
    (["metric=nope"], "metric 'nope'.*fid"),
    (["stabilize.ema.decay=0.5"], r"'stabilize.ema.decay' .*chosen stabilize"),
    (["sampling.percentile=90"], r"'sampling.percentile' .*chosen sampling"),
    (["sampling=drs", "objective=hinge"], "sampling=drs .*objective=bce"),
    (["sampling=drs", "metric=none"], "sampling.*metric=none"),
    (["optimizer=adm"], r"optimizer 'adm' .*'adam'"),
    (["optimizer=sgd"], r"generator_optimizer\.betas is not an option of torch\.optim\.SGD"),
    (["figure=nope"], "figure 'nope'.*curves"),
    (["model.generater.latent_size=3"], r"'model.generater.latent_size'"),
    (["lr=1"], r"'lr' .*optimizer.lr"),
    (["+data.limits=3"], "data.limits"),
    (["+trainer.fast_dev_run=true"], "trainer.fast_dev_run"),
    (["+model.generator_optimizer.beta=0.5"], "model.generator_optimizer.beta"),
    (["+objective.margin=0.5"], "objective.margin"),
    (["model=[dcgan"], "."),
    # groups
    (["objective=null"], "config group"),
    (["~data"], "data=digits|data=[.]{3}"),
    (["+stabilize.foo.bar=1"], "stabilize.foo"),
    (["experiment=conditional", "stabilize=ema"], r"stabilize.r1 .*~stabilize\.r1"),
    # values
    (["model.generator_optimizer.lr=abc"], "model.generator_optimizer.lr=abc"),
    (["model.generator_optimizer.lr=-1"], "learning rate: -1"),
    (["stabilize=noisy_labels", "stabilize.noisy_labels.flip_probability=1.5"], "flip_probability=1.5: .*less than"),
    (["stabilize=label_smoothing", "stabilize.label_smoothing.width=-0.1"], "width=-0.1: .*greater than"),
    (["model=acgan", "model.discriminator.dropout=1"], "model.discriminator.dropout=1"),
    (["model=cgan", "model.generator._target_=gans.models.dcgan.DCGANGenerator", "~model.generator.classes"],
     "model.discriminator.*model.generator.*takes classes"),
    (["data.classes=[11]"], "data.classes.*11"),
    (["data.classes=[]"], "data.classes"),
    (["data.classes=[eight]"], "eight.*0, 1, 2"),
    (["data.limit=0"], "data.limit=0"),
    (["data.limit=100.0"], "data.limit=100.0: .*integer"),
    (["data.invert=off"], "data.invert=off: .*boolean"),
    (["data.batch_size=0"], "data.batch_size=0"),
    (["log_every='5'"], "log_every='5': .*integer"),
    (["objective=wasserstein", "objective.bounded=no"], "objective.bounded=no: .*boolean"),
    (["model.discriminator_fakes=eval"], "discriminator_fakes=eval: .*'inference' or 'training'"),
    (["trainer.precision=7-bit"], "trainer.precision=7-bit: .*'bf16-mixed'"),
    (["trainer.max_epochs=0"], "trainer.max_epochs=0"),
    (["trainer.max_epochs=null"], "trainer.max_epochs or trainer.max_steps"),
    (["trainer.devices=2"], "trainer.devices=2: "),
    ([f"trainer.accelerator={ABSENT}"], f"trainer.accelerator={ABSENT} .*trainer.accelerator=auto"),
    (["seed=-1"], "seed=-1"),
    (["seed=one"], "seed=one"),
    (["metric.synthetic_accuracy.images=5"], "synthetic_accuracy.images=5: .*24"),
    (["metric.kid.subset=1"], "metric.kid.subset=1: .*greater than"),
    (["objective=relativistic", "+objective.real_target=5"], "RelativisticPairing has no targets"),
    (["evaluated_images=0"], "evaluated_images=0"),
    ([f"samples.count={10**22}"], "samples.count.*10000"),
    ([f"samples.frames={10**22}"], "samples.frames.*10000"),
    (["figure=curves", "+figure.curves.size=3"], "figure.curves.size"),
    # classes
    (["objective._target_=os.system"], "objective._target_=os.system"),
    (["trainer._target_=nonsense"], "trainer._target_=nonsense"),
    (["stabilize=ema", "stabilize.ema._target_=gans.nothing.Here"], "stabilize.ema._target_=gans.nothing.Here"),
    (["data._target_=gans.objectives.Hinge"], "data._target_=gans.objectives.Hinge"),
    (["model.generator._target_=5"], "model.generator._target_=5"),
    (["data._target_=null"], "data._target_=None"),
    # what does not go together
    ([*POINTS, "data.batch_size=1"], "data.batch_size=1 .*2 or more"),
    ([*POINTS, "data.train_size=5"], r"batch_size=100 .*5"),
    (["data.limit=20"], r"batch_size=32 .*20"),
    (["data.batch_size=33", "stabilize=packing"], "data.batch_size=33 .*multiple of 2"),
    (["data.batch_size=1", "stabilize=packing"], "data.batch_size=1 .*use a multiple of 2"),
    (["data.batch_size=1", "model.discriminator_updates=separate", "stabilize=minibatch_deviation"], "use 2 or more"),
    (["data.batch_size=5000"], "batch_size=5000 .*1200"),
    ([f"data.split_seed={2**32}"], "data.split_seed"),
    ([*POINTS, f"data.train_size={10**14}"], "data=ring .*memory"),
    (["data=stacked_digits", "model=stacked_small", f"data.train_size={10**14}"], "memory"),
    (["data.label_noise=0.1"], "data.label_noise"),
    (["sampling=drs", "sampling.first=1000000000"], "sampling.first=.*1000000"),
    (["formats=[png,svg,png]"], "formats=.*png.*once"),
    (["formats=png"], r"formats=png: .*write formats=\[png\]"),
    (["trust=mine"], r"trust=mine: .*write trust=\[mine\]"),
    (["samples.steps=[3,3]"], "samples.steps=.*3.*once"),
    (["samples.epochs=[3,3]"], "samples.epochs=.*3.*once"),
    (["model=acgan", "data.classes=[8]"], "two or more"),
    (["model=acgan", "model.generator.width=9"], "width=9 must be a multiple of 2"),
    (["model=autoencoder", "model.generator_batches=2"], "generator_batches=1"),
    (["model=mlp"], "MLPGenerator makes samples of 2 coordinates, but data=digits has 1x28x28"),
    (["data=ring"], "data.size.*other data"),
    (["model=stacked_small"], "3x28x28.* data=digits has 1x28x28|don't fit data=digits"),
    (["model=residual", "model.generator.channels=2"], "data=digits"),
]  # fmt: skip


def error_of(capfd: pytest.CaptureFixture[str], config_name: str, *arguments: str) -> str:
    """What a command says before it ends with exit code 2."""
    capfd.readouterr()
    with pytest.raises(SystemExit) as end, one_line_errors():
        _carry_out(config_name, list(arguments))
    captured = capfd.readouterr()
    assert (end.value.code, captured.out) == (2, "")
    assert re.fullmatch(r"error: [^\n]+\n", captured.err), captured.err
    return captured.err


def _carry_out(config_name: str, arguments: list[str]) -> None:
    options = composed(*arguments, config_name=config_name)
    if config_name == "config":
        build_run(validate(options))
    else:
        make_features(options)


@pytest.mark.parametrize(("arguments", "message"), CASES, ids=[" ".join(arguments) for arguments, _ in CASES])
def test_bad_input_is_answered_in_one_line(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.setattr(sys, "argv", [str(ROOT / "train.py")])
    data = [] if arguments[0].startswith("data=") else ["data=digits"]
    error = error_of(capfd, "config", *data, *arguments)
    assert re.search(message, error), error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["data=dgits"], "data 'dgits'.*'digits'"),
        (["data.rot=here"], "'data.rot'"),
        (["data=digits", "data.split_seed=one"], "data.split_seed=one"),
        (["data=digits", "data.batch_size=64"], "write batch_size=64"),
        (["data=digits", "batch_size=1"], "batch_size=1"),
        (["data=digits", "~data._target_"], "data is not chosen"),
        (["data=digits", "data.limit=200"], "data.limit"),
        (["data=digits", "data.invert=true"], "data.invert"),
        (["data=digits", "data.val_size=100"], "data.val_size"),
        (["data=digits", "data.label_noise=0.2"], "data.label_noise"),
        (["data=digits", "data.classes=[8,3]"], r"data.classes.*\[0, 1, .*9\]"),
        (["data=digits", "least_accuracy=2"], "least_accuracy=2"),
        (["data=digits", "data.size=5"], "8x8"),
        (["data=digits", "data._target_=tests.data.own.Unlabelled", "data.classes=[0]"], "one class.*metric=none"),
        (["data=ring"], "data=ring|data.invert"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_so_it_is_for_feature_networks(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.setattr(sys, "argv", [str(ROOT / "features.py")])
    error = error_of(capfd, "features", *arguments)
    assert re.search(message, error), error


def test_nothing_is_written_for_what_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = run_config("data=digits", "data.batch_size=5000", f"runs={tmp_path}/runs")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit), one_line_errors():
        start(config, "run")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_leaves_no_parents(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="too long"):
        new_folder(tmp_path / "new" / "folder", "x" * 300)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("count", [70, 15])
def test_metrics_that_a_test_is_too_small_for_are_named_before_training(
    capsys: pytest.CaptureFixture[str], count: int
) -> None:
    build_run(run_config("data=digits", "metric=[fid,kid]", f"evaluated_images={count}"))
    said = capsys.readouterr().err
    assert [f"{name} (needs" in said for name in ("fid", "kid")] == [count < 65, count < 20]


def test_a_test_of_one_point_needs_no_warning(capsys: pytest.CaptureFixture[str]) -> None:
    build_run(run_config("model=dirac"))
    assert capsys.readouterr().err == ""
