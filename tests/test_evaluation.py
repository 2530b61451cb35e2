"""Evaluation around a run: it changes nothing, says what it computed of what, and refuses what it can't."""

import csv
import socket
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
import torch.multiprocessing
from safetensors.torch import load_file

from gans.config.build import build_data, build_gan
from gans.run.callbacks.evaluation import generate_for, generate_more
from gans.data.images import ImageData
from gans.errors import InputError, TrainingError
from gans.run.export import read_checkpoint
from gans.features.files import load_features
from gans.metrics.base import EvaluationData
from gans.metrics.evaluator import Evaluator, Generated
from gans.metrics.fid import FID
from gans.metrics.precision_recall import PrecisionRecall
from gans.run.test_results import TestResults, read_results
from gans.run.folder import Run
from gans.run.commands import start_run
from gans.run.commands import test_run as retest
from gans.update import NO_CLASS
from tests.conftest import composed

SMALL = ["samples.count=10", "samples.frames=1", "log_every=1", "trainer.check_val_every_n_epoch=1",
         "data.limit=100"]  # fmt: skip
FEW = ["metric.synthetic_accuracy.images=200", "metric.synthetic_accuracy.epochs=1"]


def run_of(folder: Path, *overrides: str) -> Run:
    config = composed("data=digits", f"runs={folder}", *overrides)
    return start_run(config, {"data": "digits", "model": "some", "objective": "own"})


@pytest.mark.parametrize("model", ["dcgan", "acgan", "autoencoder"])
def test_evaluation_changes_no_bit_of_training(tmp_path: Path, model: str) -> None:
    options = [f"model={model}", "stabilize=[label_smoothing,noisy_labels]", "trainer.max_epochs=2",
               "trainer.max_steps=6", "data.batch_size=32", *SMALL]  # fmt: skip
    with_all = run_of(tmp_path / "all", *options, *FEW)
    without = run_of(tmp_path / "none", *options, "metric=none", "trainer.check_val_every_n_epoch=5")
    first, second = (load_file(run.path / "generator.safetensors") for run in (with_all, without))
    assert all(torch.equal(first[name], second[name]) for name in first)
    states = [read_checkpoint(run.last_checkpoint) for run in (with_all, without)]
    for name, value in states[0]["state_dict"].items():
        assert torch.equal(value, states[1]["state_dict"][name]), name
    rows = [list(csv.DictReader((run.path / "metrics.csv").open())) for run in (with_all, without)]
    train = [[(row["step"], row["train/discriminator_loss"]) for row in each] for each in rows]
    assert [row for row in train[0] if row[1]] == [row for row in train[1] if row[1]]
    assert (with_all.metric_name("fid") is None, without.metric_name("fid")) == (False, None)
    assert not without.best_checkpoint.exists()


def test_the_best_checkpoint_has_the_lowest_validation_fid_and_both_are_tested(tmp_path: Path) -> None:
    run = run_of(tmp_path, "model=dcgan", "trainer.max_epochs=5", "data.batch_size=25", *SMALL)
    name = run.metric_name("fid")
    assert name == "val/fid_200_digits1"
    curve = run.curves[name]
    best = int(curve["step"][curve["value"].argmin()])
    assert read_checkpoint(run.best_checkpoint)["training_steps"] == best
    results = read_results(run.path / "test.json")
    assert {kind: tested.training_steps for kind, tested in results.checkpoints.items()} == {"last": 20, "best": best}
    assert results.evaluated_images == results.held_out_images == 397
    metrics = {figure for figure in results.floors if "397" in figure}
    assert {"fid_397_digits1", "kid_397_digits1", "recall_397_digits1", "copying_397_digits1"} <= metrics
    assert metrics <= results.checkpoints["last"].results.keys()
    assert results.checkpoints["last"].results["fid_397_digits1"] > 5 * results.floors["fid_397_digits1"]
    assert set(run.floors) >= {"fid_200_digits1", "recall_200_digits1"}
    assert TestResults.model_json_schema()["properties"]["schema_version"]["const"] == 1


def test_testing_again_gives_the_same_and_touches_no_training_record(tmp_path: Path) -> None:
    run = run_of(tmp_path, "model=acgan", "trainer.max_epochs=2", "trainer.max_steps=3", *SMALL, *FEW)
    kept = ["metrics.csv", "checkpoints/last.ckpt", "generator.safetensors", "config.yaml", "versions.json"]
    before = {name: (run.path / name).read_bytes() for name in kept}
    first = (run.path / "test.json").read_text()
    assert "synthetic_accuracy_200" in first
    (run.path / "test.json").unlink()
    (run.path / "verdict.json").unlink()
    retest(run.path)
    assert (run.path / "test.json").read_text() == first
    assert (run.path / "verdict.json").is_file()
    assert before == {name: (run.path / name).read_bytes() for name in kept}


def test_what_has_too_few_images_is_left_out_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_of(tmp_path, "model=dcgan", "data.digits=[8]", "trainer.max_epochs=1", "trainer.max_steps=2", *SMALL)
    results = read_results(run.path / "test.json")
    assert "too few: it needs 65" in results.left_out["fid"]
    assert not any("fid" in figure for figure in results.checkpoints["last"].results)
    assert any("recall" in figure for figure in results.checkpoints["last"].results)
    assert set(results.checkpoints) == {"last"}
    output = capsys.readouterr().out
    assert "no best checkpoint" in output
    assert "too few" in output


# --- the evaluator ---------------------------------------------------------------------------------------------------


def evaluator(data: ImageData, most: int = 10_000) -> Evaluator:
    metrics = {"fid": FID(during_training=True), "precision_recall": PrecisionRecall()}
    return Evaluator(metrics, load_features("digits"), data, most)


def made_of(data: ImageData, pixels: torch.Tensor) -> Generated:
    labels = data.test_images.labels[: len(pixels)]
    return Generated(pixels / 255, labels, more=lambda _: data.pool, conditional=False, transforms=False)


def test_inverted_data_are_judged_as_what_they_show() -> None:
    plain, inverted = (build_data(composed("data=digits", f"data.invert={value}")) for value in ("false", "true"))
    values = [
        evaluator(data).judge("test", made_of(data, data.train_images.pixels[:397])).values
        for data in (plain, inverted)
    ]
    assert values[0] == pytest.approx(values[1], rel=1e-5)
    assert values[0]["fid_397_digits1"] < 1


def test_floors_are_kept_and_depend_on_neither_seed_nor_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    def floors(*options: str) -> dict[str, float]:
        return evaluator(build_data(composed("data=digits", *options))).floors(
            "test", conditional=False, transforms=False
        )

    first = floors()
    assert first["fid_397_digits1"] < 0.6
    assert floors("seed=7")["fid_397_digits1"] == first["fid_397_digits1"]
    assert floors("data.limit=100") == first
    assert floors("data.invert=true") == first
    assert floors("data.split_seed=1") != first

    def refuse(*_: EvaluationData) -> dict[str, float]:
        raise AssertionError("computed again")

    monkeypatch.setattr(FID, "compute", refuse)
    assert floors() == first


def test_a_named_smaller_protocol() -> None:
    judge = evaluator(build_data(composed("data=digits")), most=100)
    held_out = judge.held_out("test")
    assert len(held_out.labels) == 100
    assert held_out.labels.bincount().min() >= 3  # from all over the set
    values = judge.judge("test", made_of(judge.data, judge.data.train_images.pixels[:100])).values
    assert set(values) == {"fid_100_digits1", "precision_100_digits1", "recall_100_digits1"}


def test_images_that_are_not_finite_are_refused() -> None:
    data = build_data(composed("data=digits"))
    pixels = data.test_images.pixels.float()
    pixels[5, 0, 3, 3] = float("nan")
    with pytest.raises(TrainingError, match="not finite"):
        evaluator(data).judge("test", made_of(data, pixels))


def test_a_filter_that_leaves_a_class_empty_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = build_data(composed("data=digits"))
    train, test = data.pool, data.test_images.at(data.test_images.labels != 3)
    monkeypatch.setattr("gans.data.digits.Digits.read", lambda _: (train, test))
    with pytest.raises(InputError, match=r"none of the 357 test images shows \[3\]"):
        build_data(composed("data=digits"))


# --- processes -------------------------------------------------------------------------------------------------------


def test_generated_images_are_in_proportion_and_of_the_asked_classes() -> None:
    gan = build_gan(composed("data=digits", "model=acgan"))
    images, labels = generate_more(gan, 25)
    assert labels.bincount().tolist() == [3] * 5 + [2] * 5
    assert images.shape == (25, 1, 28, 28)
    assert torch.equal(images, generate_more(gan, 25)[0])


def _generate(process: int, processes: int, port: int, folder: str) -> None:
    torch.distributed.init_process_group(
        "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=process, world_size=processes
    )
    torch.set_num_threads(1)
    made = _made(process, processes)
    numpy.save(Path(folder) / f"{process}.npy", made.images.numpy())
    torch.distributed.destroy_process_group()


def _made(process: int = 0, processes: int = 1) -> Any:
    config = composed("data=digits", "model=acgan", "data.val_size=201")
    return generate_for(build_gan(config), build_data(config).val_images, process, processes)


@pytest.mark.slow
def test_two_processes_make_the_images_that_one_makes(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(_generate, (2, port, str(tmp_path)), nprocs=2)
    alone = _made().images.numpy()
    first, second = (numpy.load(tmp_path / f"{process}.npy") for process in range(2))
    assert numpy.array_equal(first, second)
    assert numpy.abs(first - alone).max() < 1e-5  # other batch sizes round otherwise


def test_evaluation_leaves_the_generator_in_its_mode() -> None:
    gan = build_gan(composed("data=digits", "model=dcgan"))
    data = build_data(composed("data=digits"))
    gan.generator.train()
    made = generate_for(gan, data.val_images)
    assert gan.generator.training
    again = generate_for(gan, data.val_images)
    assert torch.equal(made.images, again.images)
    assert made.labels.unique().tolist() == [NO_CLASS]
