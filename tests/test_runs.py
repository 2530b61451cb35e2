"""Every experiment, every model and every stabilizer: trains, tests, leaves its folder, and reloads."""

import json
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageSequence
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gans.config.build import build_data
from gans.errors import InputError
from gans.run.export import load_generator
from gans.run.machine import give_freed_memory_back, keep_freed_memory
from gans.run.test_results import read_results
from gans.run.folder import Run
from gans.run.commands import start_run
from tests.conftest import DATA_ROOT, composed, data_for, names, narrow, needs_mnist

LISTS = [*(name for name in names("stabilize") if name != "none"), "[label_smoothing,noisy_labels]"]
RUNS = [*((model, "none") for model in names("model")), *(("dcgan", stabilizers) for stabilizers in LISTS)]
REPORTS = [name for name in names("experiment") if name.startswith("report_")]
SMALL = [
    "trainer.max_epochs=1", "trainer.max_steps=2", "samples.count=10", "samples.frames=1", "log_every=1",
    "trainer.check_val_every_n_epoch=1", "metric.synthetic_accuracy.epochs=1",
    "metric.synthetic_accuracy.images=300", "evaluated_images=200",
]  # fmt: skip


def run_of(folder: Path, *overrides: str) -> Run:
    config = composed(f"runs={folder}", *overrides)
    choices = {"data": "digits", "model": "some", "objective": "own"}
    return start_run(config, choices)


def test_a_run_keeps_freed_memory_but_for_that_of_evaluations_and_takes_the_cores_that_it_may_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[bool] = []
    given_back: list[bool] = []
    monkeypatch.setattr("gans.run.commands.keep_freed_memory", lambda: kept.append(keep_freed_memory()))
    monkeypatch.setattr(
        "gans.run.callbacks.evaluation.give_freed_memory_back", lambda: given_back.append(give_freed_memory_back())
    )
    monkeypatch.setattr("joblib.cpu_count", lambda: 1)
    run = run_of(tmp_path, *little("model=autoencoder"), *SMALL)
    assert kept == [sys.platform.startswith("linux")]
    assert given_back == 2 * kept  # after its one validation, and its test
    assert json.loads((run.path / "versions.json").read_text())["threads"] == 1


def little(choice: str) -> tuple[str, ...]:
    """A model or an experiment, on little data of its own."""
    return (choice, *narrow(choice), *data_for(choice, train=40, held_out=200), "data.batch_size=8")


@pytest.mark.parametrize(("model", "stabilizers"), RUNS)
def test_every_model_and_every_stabilizer_trains_tests_and_reloads(
    tmp_path: Path, model: str, stabilizers: str
) -> None:
    """All pairs of them take training steps in tests/test_matrix.py."""
    try:
        run = run_of(tmp_path, *little(f"model={model}"), f"stabilize={stabilizers}", *SMALL)
    except InputError:  # tests/test_matrix.py reads the refusals
        assert not list(tmp_path.iterdir())
        return
    tested = read_results(run.path / "test.json")
    last = tested.checkpoints["last"]
    assert any(name.startswith("fid_") for name in last.results) or "fid" in tested.left_out
    assert last.training_steps == 2
    assert {"discriminator_loss", "discriminator_accuracy", "generator_loss"} <= last.results.keys()
    exported = load_generator(run.path / "generator.safetensors")
    checkpointed = load_generator(run.last_checkpoint)
    for first, second in zip(
        exported.network.state_dict().values(), checkpointed.network.state_dict().values(), strict=True
    ):
        assert torch.equal(first, second)


@pytest.mark.any_data
@pytest.mark.parametrize("experiment", REPORTS)
def test_every_report_trains_and_leaves_its_figures(tmp_path: Path, experiment: str) -> None:
    data = [f"data.root={DATA_ROOT}", "data.limit=300"] if DATA_ROOT else ["data=digits", "data.val_size=200"]
    config = composed(f"experiment={experiment}", *data)
    batch = min(config["data"]["batch_size"], 20)
    # the first moment at which the report shows a grid is brought forward to the end of this run
    moments = ["samples.steps=[2]"] if config["samples"]["steps"] else ["samples.epochs=[1]"]
    small = [f"data.batch_size={batch}", "samples.count=10", "samples.frames=2", "trainer.max_steps=2",
             "evaluated_images=100", "metric.synthetic_accuracy.images=300"]  # fmt: skip
    if not config["samples"]["steps"]:
        small = [*small, "trainer.max_steps=null", "data.limit=40", "trainer.max_epochs=1"]
    run = run_of(tmp_path, f"experiment={experiment}", *data, *small, *moments)
    drawn = {path.name for path in run.figures.iterdir()}
    moment = "samples_step_00002.png" if config["samples"]["steps"] else "samples_epoch_001.png"
    expected = {"data.png", "models.txt", "losses.png", "accuracy.png", "samples.png", "film.gif", moment}
    expected |= {"neighbours.png", "neighbour_distances.png", "modes.png"}
    assert expected | ({"pairs.png"} if "report_a" in experiment else set()) == drawn


@pytest.mark.parametrize("experiment", [name for name in names("experiment") if name not in REPORTS])
def test_every_other_experiment_trains(tmp_path: Path, experiment: str) -> None:
    overrides = little(f"experiment={experiment}")
    metrics = composed(*overrides)["metric"]  # its own ones
    small = [option for option in SMALL if not option.startswith("metric.") or option.split(".")[1] in metrics]
    run = run_of(tmp_path, *overrides, *small)
    assert read_results(run.path / "test.json").checkpoints["last"].training_steps == 2


def test_a_run_folder_holds_what_it_promises(tmp_path: Path) -> None:
    run = run_of(tmp_path, "data=digits", "model=acgan", "data.limit=100", "trainer.max_epochs=2", *SMALL[2:])
    held = {path.name for path in run.path.iterdir()}
    assert held == {
        "checkpoints", "config.yaml", "figures", "generator.safetensors", "metrics.csv", "samples", "tensorboard",
        "test.json", "verdict.json", "versions.json", "floors.json", "history.json", ".lock",
    }  # fmt: skip
    assert {path.name for path in (run.path / "checkpoints").iterdir()} == {
        "best.ckpt", "best.ckpt.sha256", "best.previous.ckpt", "best.previous.ckpt.sha256",
        "last.ckpt", "last.ckpt.sha256", "last.previous.ckpt", "last.previous.ckpt.sha256",
    }  # fmt: skip
    assert {"python", "packages", "git", "device", "precision"} <= json.loads(
        (run.path / "versions.json").read_text()
    ).keys()

    for player in ("discriminator", "generator"):
        for quantity in ("loss", "adversarial", "class", "accuracy", "class_accuracy"):
            assert run.curves[f"train/{player}_{quantity}"]["step"].tolist() == [1, 2, 3, 4, 5, 6]
            assert run.curves[f"epoch/{player}_{quantity}"]["epoch"].tolist() == [1, 2]
            assert run.curves[f"val/{player}_{quantity}"]["step"].tolist() == [3, 6]
    steps, epochs = (run.curves[f"{kind}/generator_loss"]["value"] for kind in ("train", "epoch"))
    assert epochs == pytest.approx([steps[:3].mean(), steps[3:].mean()], rel=1e-5)

    events = EventAccumulator(str(run.path / "tensorboard"))
    events.Reload()
    assert "train/generator_loss" in events.Tags()["scalars"]
    assert "samples" in events.Tags()["images"]
    with Image.open(run.figures / "film.gif") as film:
        assert sum(1 for _ in ImageSequence.Iterator(film)) == len(run.grids) == 2
    summary = (run.figures / "models.txt").read_text()
    assert "3,757,176" in summary
    assert "527,627" in summary


def test_a_second_run_gets_a_folder_of_its_own(tmp_path: Path) -> None:
    first, second = (run_of(tmp_path, "data=digits", "model=autoencoder", *SMALL) for _ in range(2))
    assert second.path.name == f"{first.path.name}_2"
    assert (first.path / "metrics.csv").read_text() == (second.path / "metrics.csv").read_text()


def test_the_autoencoder_is_tested_against_the_exact_answer(tmp_path: Path) -> None:
    run = run_of(tmp_path, "data=digits", "model=autoencoder", *SMALL, "evaluated_images=10000")
    results = read_results(run.path / "test.json").checkpoints["last"].results
    per_digit = [results[f"mse_of_{digit}_397"] for digit in range(10)]
    counts = build_data(run.config).test_images.labels.bincount().tolist()
    weighted = sum(value * count for value, count in zip(per_digit, counts, strict=True)) / 397
    assert results["mse_397"] == pytest.approx(weighted, rel=1e-5)
    assert run.pairs is not None
    answers, inputs = (run.pairs[kind].astype(int) for kind in ("answers", "inputs"))
    assert abs(answers + inputs - 255).max() <= 1  # the exact answer to x is 1 - x


@pytest.mark.parametrize("supported", [True, False])
def test_half_precision_is_an_override(
    tmp_path: Path, supported: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torch.backends.mkldnn.is_available", lambda: True)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: supported)
    run = run_of(tmp_path, "data=digits", "model=dcgan", "trainer.precision=bf16-mixed", *SMALL)
    weights = load_file(run.path / "generator.safetensors")
    assert all(value.dtype in (torch.float32, torch.int64) for value in weights.values())
    assert ("emulates bfloat16" in capsys.readouterr().err) is not supported


@needs_mnist
@pytest.mark.slow
def test_report_a_learns_to_write_an_eight_on_white(tmp_path: Path) -> None:
    run = run_of(tmp_path, "experiment=report_a", "trainer.max_steps=600", "samples.frames=1")
    results = read_results(run.path / "test.json").checkpoints["last"].results
    background = run.grids[-1].images[:, :3, :3]
    # eight runs of other seeds: between 191 and 251, and between 0.125 and 0.174; noise: 127 and 0.33
    assert background.mean() > 170
    assert results["mse_974"] < 0.22  # a white page scores 0.11 on average
    assert results["mse_of_8_974"] == pytest.approx(results["mse_974"])
