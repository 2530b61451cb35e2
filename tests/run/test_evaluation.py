"""Evaluation within a run: it changes nothing, says what it computed of what, and can be done again."""

from pathlib import Path

import pytest
import torch

from gans.config.build import build_data, build_gan
from gans.run.callbacks.evaluation import generate_for, generate_more
from gans.run.checkpoint_files import newest_whole
from gans.run.test_results import TestResults, read_results
from gans.update import NO_CLASS
from tests.configs import narrow, run_config
from tests.run.runs import assert_same, checkpoint, start
from tests.run.runs import test_again as retest

ALL = (
    "metric=[fid,kid,precision_recall,density_coverage,inception_score,class_histogram,mode_count,class_agreement,"
    "synthetic_accuracy,neighbours,reconstruction,class_kept]"
)
FEW = ("metric.synthetic_accuracy.images=100", "metric.synthetic_accuracy.epochs=1")


@pytest.mark.parametrize(
    "model",
    ["autoencoder", pytest.param("dcgan", marks=pytest.mark.slow), pytest.param("acgan", marks=pytest.mark.slow)],
)
def test_all_metrics_change_no_bit_of_training(tmp_path: Path, model: str) -> None:
    options = [f"model={model}", *narrow(f"model={model}"), "stabilize=[label_smoothing,noisy_labels]"]
    with_all = start(tmp_path / "all", *options, ALL, *FEW)
    without = start(tmp_path / "none", *options, "metric=none", "trainer.check_val_every_n_epoch=5")
    states = [checkpoint(run) for run in (with_all, without)]
    for name in ("state_dict", "optimizer_states"):
        assert_same(states[0][name], states[1][name], name)
    for name in ("train/discriminator_loss", "epoch/generator_loss"):
        first, second = (run.curves[name]["value"].tolist() for run in (with_all, without))
        assert first == second
    assert (with_all.validation_name("fid"), without.validation_name("fid")) == ("val/fid_70_digits1", None)
    assert newest_whole(without.checkpoints, "best") is None


@pytest.mark.slow
def test_the_best_checkpoint_has_the_lowest_validation_fid_and_both_are_tested(tmp_path: Path) -> None:
    run = start(
        tmp_path, "model=dcgan", *narrow("model=dcgan"), "trainer.max_epochs=4",
        "metric=[fid,kid,neighbours,precision_recall]", "evaluated_images=1000", "data.limit=64",
    )  # fmt: skip
    curve = run.curves["val/fid_70_digits1"]
    best = int(curve["step"][curve["value"].argmin()])
    assert checkpoint(run, "best")["training_steps"] == best
    results = read_results(run.test_results_file)
    assert {kind: tested.training_steps for kind, tested in results.checkpoints.items()} == {"last": 32, "best": best}
    assert results.evaluated_images == results.held_out_images == 397
    metrics = {figure for figure in results.floors if "397" in figure}
    assert {"fid_397_digits1", "kid_397_digits1", "recall_397_digits1", "copying_397_digits1"} <= metrics
    assert metrics <= results.checkpoints["last"].results.keys()
    assert results.checkpoints["last"].results["fid_397_digits1"] > 5 * results.floors["fid_397_digits1"]
    assert set(run.floors) >= {"fid_70_digits1", "recall_70_digits1"}
    assert TestResults.model_json_schema()["properties"]["schema_version"]["const"] == 1


@pytest.mark.slow
def test_testing_again_gives_the_same_and_changes_nothing_else(tmp_path: Path) -> None:
    run = start(tmp_path, "trainer.max_steps=3", "metric=[fid,neighbours]")
    kept = [path for path in run.path.rglob("*") if path.is_file() and path.suffix in (".csv", ".ckpt", ".yaml")]
    before = {path: path.read_bytes() for path in (*kept, run.generator_file, run.versions_file)}
    first = run.test_results_file.read_text()
    assert "fid_70" in first
    run.test_results_file.unlink()
    run.verdict_file.unlink()
    retest(run)
    assert run.test_results_file.read_text() == first
    assert run.verdict_file.is_file()
    assert before == {path: path.read_bytes() for path in before}


def test_what_has_too_few_images_is_left_out_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = ("metric=[fid,precision_recall,class_agreement,mixture]", "evaluated_images=100")
    run = start(tmp_path, "data.classes=[8]", "data.limit=null", "data.val_size=200", "trainer.max_steps=1", *metrics)
    results = read_results(run.test_results_file)
    assert "65" in results.left_out["fid"]
    assert results.left_out.keys() == {"fid", "class_agreement", "mixture"}
    assert len(results.reasons()) == 2
    assert not any("fid" in figure for figure in results.checkpoints["last"].results)
    assert any("recall" in figure for figure in results.checkpoints["last"].results)
    assert set(results.checkpoints) == {"last"}
    assert "best" in capsys.readouterr().out  # why there is no such checkpoint


def test_generated_images_are_in_proportion_and_of_the_asked_classes() -> None:
    gan = build_gan(run_config("data=digits", "model=acgan", *narrow("model=acgan")))
    images, labels = generate_more(gan, 25)
    assert labels.bincount().tolist() == [3] * 5 + [2] * 5
    assert images.shape == (25, 1, 28, 28)
    assert torch.equal(images, generate_more(gan, 25)[0])


def test_evaluation_leaves_the_generator_in_its_mode() -> None:
    config = run_config("data=digits", "model=dcgan", "data.val_size=100")
    gan, data = build_gan(config), build_data(config)
    gan.generator.train()
    made = generate_for(gan, data.val_images)
    assert gan.generator.training
    again = generate_for(gan, data.val_images)
    assert torch.equal(made.images, again.images)
    assert made.labels.unique().tolist() == [NO_CLASS]
