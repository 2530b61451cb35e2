"""What happened in a run: synthetic curves with known labels, and runs made to fail."""

import csv
import json
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gans.errors import TrainingError
from gans.files import write_json
from gans.objectives import BinaryCrossEntropy, ScoredBatch
from gans.run.diagnose import diagnose, find_verdict, loss_if_undecided, read_verdict
from gans.run.folder import RunFolder
from tests.configs import narrow, option
from tests.run.runs import only_run, start
from tests.run.runs import test_again as again

Curve = list[float]
STEPS = 100  # points, one every 10 training steps


def run_with(
    folder: Path,
    train: Mapping[str, Curve],
    val: Mapping[str, Curve] | None = None,
    config: Mapping[str, Any] | None = None,
) -> RunFolder:
    """A run folder with curves alone: ``train`` has a point every 10 steps, ``val`` one every 100."""
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump({"seed": 0} | dict(config or {})))
    healthy = noise(STEPS, 0.7, 0.03)
    accuracy = noise(STEPS, 0.7, 0.05)
    train = {"generator_loss": healthy, "discriminator_loss": healthy, "discriminator_accuracy": accuracy} | dict(train)
    rows = [
        {"step": 10 * (i + 1), "epoch": (i + 1) / 10} | {f"train/{name}": curve[i] for name, curve in train.items()}
        for i in range(STEPS)
    ]
    names = {name: f"{name}_200_digits1" for name in (*GOOD, "high_quality", "mode_kl")}
    for i in range(max((len(curve) for curve in (val or {}).values()), default=0)):
        values = {f"val/{names[name]}": curve[i] for name, curve in (val or {}).items()}
        rows.append({"step": 100 * (i + 1), "epoch": float(i + 1)} | values)
    with (folder / "metrics.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, sorted({name for row in rows for name in row}), restval="")
        writer.writeheader()
        writer.writerows(rows)
    (folder / "floors.json").write_text(json.dumps({names["precision"]: 1.0, names["high_quality"]: 1.0}))
    return RunFolder(folder)


def noise(count: int, level: float, deviation: float) -> Curve:
    return (level + deviation * numpy.random.default_rng(0).standard_normal(count)).tolist()


def after(point: int, value: float, before: float = 0.7) -> Curve:
    return [before + 0.01 * math.sin(7 * i) if i < point else value for i in range(STEPS)]


GOOD = {"fid": noise(10, 5, 0.1), "precision": [0.6] * 10, "recall": [0.6] * 10, "class_kl": [0.02] * 10}
SWINGS = [1 + 0.8 * math.sin(2 * math.pi * i / 20) for i in range(STEPS)]


@pytest.mark.parametrize(
    ("train", "val", "label", "first_step"),
    [
        ({}, GOOD, "healthy", 10),
        ({"discriminator_accuracy": after(40, 0.995)}, GOOD, "discriminator saturation", 410),
        ({"generator_loss": after(24, 1.0)}, GOOD, "discriminator saturation", 250),
        ({}, GOOD | {"recall": [0.6] * 5 + [0.03] * 5}, "mode collapse", 600),
        ({}, GOOD | {"class_kl": [0.02] * 3 + [1.5] * 3 + [0.02] * 4}, "mode collapse", 400),
        ({}, GOOD | {"recall": [0.03] * 10}, "mode collapse", 100),
        ({"generator_loss": after(70, math.nan)}, GOOD, "divergence", 710),
        ({"discriminator_loss": [-(1.2**i) for i in range(STEPS)]}, GOOD, "divergence", None),
        ({}, GOOD | {"fid": [20, 10, 5, 6, 14, 20, 30, 40, 50, 60]}, "divergence", 600),
        ({"generator_loss": SWINGS}, GOOD, "oscillation", None),
    ],
)
def test_synthetic_curves(tmp_path: Path, train: dict, val: dict, label: str, first_step: int | None) -> None:
    verdict = find_verdict(run_with(tmp_path / "run", train, val))
    assert list(verdict.labels) == [label]
    assert first_step is None or verdict.labels[label].first_step == first_step


@pytest.mark.parametrize(
    ("objective", "loss"),
    [
        ("bce", math.log(2)), ("minimax", -math.log(2)), ("least_squares", 0.125), ("hinge", 0.0),
        ("relativistic", math.log(2)), ("wasserstein", 0.0), ("wasserstein_bounded", 0.5),
        ("msle", math.log(4 / 3) ** 2),
    ],
)  # fmt: skip
def test_a_discriminator_that_can_not_tell_has_not_saturated(tmp_path: Path, objective: str, loss: float) -> None:
    """As at the equilibrium of the Dirac GAN."""
    node = {"objective": option("objective", objective)}
    run = run_with(tmp_path / "run", {"generator_loss": after(24, loss)}, GOOD, node)
    assert list(find_verdict(run).labels) == ["healthy"]
    stuck = run_with(tmp_path / "stuck", {"generator_loss": after(24, loss + 0.2)}, GOOD, node)
    assert list(find_verdict(stuck).labels) == ["discriminator saturation"]


@pytest.mark.parametrize(
    ("curve", "values", "label"),
    [
        ("discriminator_accuracy", after(40, 0.995), "discriminator saturation"),
        ("generator_loss", noise(STEPS, 150, 1), "divergence"),
    ],
)
def test_the_size_of_a_score_says_nothing_of_a_critic_without_bounds(
    tmp_path: Path, curve: str, values: Curve, label: str
) -> None:
    for name, expected in (("wasserstein", "healthy"), ("bce", label), ("wasserstein_bounded", label)):
        run = run_with(tmp_path / name, {curve: values}, GOOD, {"objective": option("objective", name)})
        assert list(find_verdict(run).labels) == [expected]


def test_an_fid_of_real_samples_is_no_divergence(tmp_path: Path) -> None:
    run = run_with(tmp_path / "run", {}, GOOD | {"fid": [20, 10, 5, 6, 14, 20, 30, 40, 50, 60]})
    floors = json.loads(run.floors_file.read_text())
    run.floors_file.write_text(json.dumps(floors | {"fid_200_digits1": 25.0}))
    assert list(find_verdict(RunFolder(run.path)).labels) == ["healthy"]


@pytest.mark.parametrize(
    "val",
    [
        {
            "recall": [0.0, 0.0, 0.0, 0.0, 0.3, 0.5, 0.6, 0.6, 0.6, 0.6],  # an untrained generator is no collapse
            "precision": [0.0, 0.0, 0.1, 0.2, 0.3, 0.5, 0.6, 0.6, 0.6, 0.6],
        },
        {"recall": [0.6, 0.05, 0.05, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6]},  # two bad evaluations are none either
        {"fid": [50, 20, 10, 5, 20, 5, 20, 5, 20, 20]},  # away from its best twice, but not for three evaluations
    ],
)
def test_what_passes_is_healthy(tmp_path: Path, val: dict) -> None:
    assert list(find_verdict(run_with(tmp_path / "run", {}, GOOD | val)).labels) == ["healthy"]


MNIST_93 = {  # a DCGAN of 2,000 images of MNIST, measured: it improves, and is not trained yet
    "fid": [35.4, 37.0, 28.5], "precision": [0.037, 0.133, 0.145], "recall": [0.002, 0.016, 0.024],
    "class_kl": [0.41, 0.63, 0.25],
}  # fmt: skip
DIGITS = {  # a DCGAN of five epochs of digits, measured
    "fid": [41.9, 30.8, 24.8, 25.7, 26.8], "precision": [0.26, 0.07, 0.045, 0.125, 0.15],
    "recall": [0.18, 0.12, 0.31, 0.34, 0.29], "class_kl": [1.18, 0.88, 0.65, 0.69, 0.75],
}  # fmt: skip
NOISE = {"fid": [100.4, 101.1], "precision": [0.0, 0.0], "recall": [0.0, 0.0], "class_kl": [2.3, 2.3]}
"""An ACGAN of 40 steps, measured: grey images."""
ONE_DIGIT = {"precision": [1.0] * 4, "recall": [0.0] * 4, "class_kl": [0.015] * 4}
"""Report A's generator of digit 8."""
POINTS = {"high_quality": [0.02, 0.5, 0.9, 0.95, 0.95], "mode_kl": [2.1, 2.0, 1.4, 1.4, 1.4]}
ONE_MODE = {
    "high_quality": [0.134, 0.0, 0.0, 0.012, 0.0, 0.0, 0.879, 0.376],
    "mode_kl": [1.05, 1.90, 2.08, 2.08, 2.08, 2.08, 2.08, 2.08],
}
"""A plain GAN on a ring, measured: all samples at one mode of eight, which they meet in the last two evaluations."""
SOME_MODES_LOST = {"high_quality": [0.9] * 5, "mode_kl": [0.05, 0.05, 0.05, 1.2, 1.2]}


@pytest.mark.parametrize(
    ("val", "label"),
    [
        (MNIST_93, "poor samples"),
        (DIGITS, "poor samples"),
        (NOISE, "poor samples"),
        (ONE_DIGIT, "mode collapse"),
        (POINTS, "mode collapse"),
        (SOME_MODES_LOST, "mode collapse"),
        (ONE_MODE, "mode collapse"),
        (GOOD | {"class_kl": [0.02] * 9 + [1.5]}, "mode collapse"),  # at the very end
    ],
)
def test_what_is_not_trained_yet_is_told_from_what_has_collapsed(tmp_path: Path, val: dict, label: str) -> None:
    assert list(find_verdict(run_with(tmp_path / "run", {}, val)).labels) == [label]


@pytest.mark.parametrize(("mode_kl", "alike"), [(2.08, True), (0.01, False)])
def test_a_reason_for_poor_samples_says_whether_they_are_diverse(tmp_path: Path, mode_kl: float, alike: bool) -> None:
    """Of a ring, measured: all samples one point beside a mode, and a circle between the modes."""
    val = {"high_quality": [0.0] * 10, "mode_kl": [mode_kl] * 10}
    labels = find_verdict(run_with(tmp_path / "run", {}, val)).labels
    assert list(labels) == ["poor samples"]
    assert ("diverse" in labels["poor samples"].why) == alike


def test_samples_that_were_fine_and_are_now_bad_and_alike_have_collapsed_and_are_poor(tmp_path: Path) -> None:
    val = {"precision": [0.6] * 6 + [0.0] * 4, "recall": [0.5] * 6 + [0.0] * 4}
    labels = find_verdict(run_with(tmp_path / "run", {}, val)).labels
    assert {name: period.first_step for name, period in labels.items()} == {"poor samples": 700, "mode collapse": 700}


def test_a_few_evaluated_samples_of_many_classes_are_compared_with_as_many_real_ones(tmp_path: Path) -> None:
    run = run_with(tmp_path / "run", {}, GOOD | {"class_kl": [1.2] * 10})
    assert "mode collapse" in find_verdict(run).labels
    run.floors_file.write_text(json.dumps({"class_kl_200_digits1": 1.1}))
    assert list(find_verdict(RunFolder(run.path)).labels) == ["healthy"]


def test_without_the_floors_samples_are_not_judged(tmp_path: Path) -> None:
    run = run_with(tmp_path / "run", {}, GOOD | {"class_kl": [1.2] * 10})
    run.floors_file.unlink()
    verdict = find_verdict(RunFolder(run.path))
    assert verdict.labels == {}
    assert {*verdict.not_judged} == {"poor samples", "mode collapse"}
    assert all("floors.json" in lack for lack in verdict.not_judged.values())


@pytest.mark.slow
def test_a_test_writes_floors_again_that_are_lost(tmp_path: Path) -> None:
    run = start(tmp_path, "metric=[precision_recall]")
    floors = run.floors_file.read_text()
    run.floors_file.unlink()
    again(run)
    assert run.floors_file.read_text() == floors
    unvalidated = start(tmp_path, "metric=[precision_recall]", "trainer.check_val_every_n_epoch=9")
    assert not unvalidated.floors_file.exists()
    assert "check_val_every_n_epoch" in find_verdict(unvalidated).not_judged["poor samples"]


def test_a_loss_of_ones_own_that_two_scores_do_not_tell_is_none() -> None:
    class Own(BinaryCrossEntropy):
        def generator(self, batch: ScoredBatch) -> torch.Tensor:
            return super().generator(batch) / batch.fake.images[:, 5]

    assert math.isnan(loss_if_undecided(Own()))
    assert loss_if_undecided(BinaryCrossEntropy()) == pytest.approx(math.log(2))


@pytest.mark.parametrize(
    ("train", "val", "not_judged"),
    [
        ({}, {}, {"mode collapse", "poor samples"}),
        ({}, {"fid": GOOD["fid"]}, {"mode collapse", "poor samples"}),
        ({}, {"recall": GOOD["recall"], "class_kl": GOOD["class_kl"]}, {"mode collapse", "poor samples"}),
        ({}, {name: curve[:2] for name, curve in GOOD.items()}, {"mode collapse"}),
        (5, GOOD, {"discriminator saturation", "divergence", "oscillation"}),
        (12, GOOD, {"oscillation"}),
    ],
)
def test_nothing_is_healthy_that_could_not_be_judged(
    tmp_path: Path, train: dict | int, val: dict, not_judged: set[str]
) -> None:
    run = run_with(tmp_path / "run", {}, val)
    if isinstance(train, int):
        header, *rows = run.metrics_file.read_text().splitlines()
        run.metrics_file.write_text("\n".join([header, *rows[:train], *rows[STEPS:]]) + "\n")
    verdict = find_verdict(RunFolder(run.path))
    assert verdict.labels == {}
    assert set(verdict.not_judged) == not_judged
    assert all(name in str(verdict) for name in not_judged)


def test_a_recovered_run_says_when_it_was_over(tmp_path: Path) -> None:
    accuracy = [0.7] * 20 + [1.0] * 15 + [0.7] * 65
    held = find_verdict(run_with(tmp_path / "run", {"discriminator_accuracy": accuracy})).labels
    assert (held["discriminator saturation"].first_step, held["discriminator saturation"].last_step) == (210, 350)


@given(st.floats(0.2, 3), st.floats(0.01, 0.1), st.integers(0, 100))
@settings(max_examples=15, deadline=None)
def test_noise_alone_is_healthy(
    tmp_path_factory: pytest.TempPathFactory, level: float, relative: float, seed: int
) -> None:
    random = numpy.random.default_rng(seed)
    loss = (level * (1 + relative * random.standard_normal(STEPS))).tolist()
    verdict = find_verdict(run_with(tmp_path_factory.mktemp("noise") / "run", {"generator_loss": loss}, GOOD))
    assert list(verdict.labels) == ["healthy"]


def test_late_fluctuation_is_the_deviation_over_the_second_half(tmp_path: Path) -> None:
    loss = [5.0 + i for i in range(50)] + [1.0, 3.0] * 25
    fid = [100.0, 80, 60, 40, 20, 10, 12, 10, 12, 11]
    found = find_verdict(run_with(tmp_path / "run", {"generator_loss": loss}, GOOD | {"fid": fid})).late_fluctuation
    assert found["generator_loss"] == pytest.approx(numpy.std(loss[50:], ddof=1))
    assert found["fid"] == pytest.approx(numpy.std(fid[5:], ddof=1) / numpy.mean(fid[5:]))


# --- runs made to fail -----------------------------------------------------------------------------------------------

Labels = Callable[..., dict]


@pytest.fixture
def labels_of(tmp_path: Path) -> Labels:
    def train(*options: str) -> dict:
        with suppress(TrainingError):
            start(
                tmp_path,
                "data=digits",
                "data.val_size=200",
                "evaluated_images=200",  # of fewer, precision is too often wrong
                "data.batch_size=32",
                "metric=[fid,precision_recall,class_histogram]",
                *options,
            )
        return json.loads(only_run(tmp_path).verdict_file.read_text())["labels"]

    return train


def test_a_run_whose_loss_is_not_finite_is_labelled_all_the_same(labels_of: Labels) -> None:
    labels = labels_of(
        "model=dcgan", "objective=wasserstein", "trainer.max_epochs=1", "log_every=1",
        "model.discriminator_optimizer.lr=1e30", "model.generator_optimizer.lr=1e30",
    )  # fmt: skip
    assert "divergence" in labels
    assert labels["divergence"]["first_step"] < 10
    assert "nan at training step" in labels["divergence"]["why"]


@pytest.mark.slow
def test_a_generator_that_cannot_learn_saturates_the_discriminator_and_makes_poor_samples(labels_of: Labels) -> None:
    labels = labels_of(
        "model=dcgan", *narrow("model=dcgan"), "trainer.max_epochs=4", "model.generator_optimizer.lr=1e-12"
    )
    assert {"discriminator saturation", "poor samples"} <= labels.keys()


@pytest.mark.slow
def test_an_unbounded_critic_diverges(labels_of: Labels) -> None:
    faster = [f"model.{player}_optimizer.lr=0.01" for player in ("discriminator", "generator")]
    labels = labels_of("model=wgan", *narrow("model=wgan"), "objective=wasserstein", "trainer.max_epochs=4", *faster)
    assert "divergence" in labels


def test_a_metric_that_is_no_number_is_kept_as_one_in_verdict_and_floors(tmp_path: Path) -> None:
    val = {"fid": [math.nan] * 10, "precision": [math.nan] * 10, "recall": [math.nan] * 10}
    run = run_with(tmp_path / "run", {}, GOOD | val)
    write_json(run.floors_file, {"fid_200_digits1": math.nan, "precision_200_digits1": math.inf})
    diagnose(run)
    assert "poor samples" in read_verdict(run).labels
    assert math.isnan(read_verdict(run).late_fluctuation["fid"])
    assert math.isnan(run.floors["fid_200_digits1"])


@pytest.mark.slow
def test_a_generator_that_learns_in_some_steps_only_is_judged(tmp_path: Path) -> None:
    """Its curve has fewer points than the discriminator's."""
    run = start(tmp_path, "stabilize=discriminator_steps", "log_every=1", "trainer.max_epochs=7")
    counts = [len(run.curve(f"train/{player}_loss")[0]) for player in ("discriminator", "generator")]
    assert counts == [21, 4]  # 10 are needed
    assert run.history.last == "finished"


def test_a_verdict_stays_if_the_curves_are_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = run_with(tmp_path / "run", {"generator_loss": SWINGS}, GOOD)
    diagnose(run)
    before = run.verdict_file.read_text()
    assert "oscillation" in before
    run.metrics_file.unlink()
    diagnose(RunFolder(run.path))
    assert run.verdict_file.read_text() == before
    assert "metrics.csv' is lost" in capsys.readouterr().err


def test_too_few_training_images_for_floors_are_not_called_lost(tmp_path: Path) -> None:
    run = run_with(tmp_path / "run", {}, GOOD)
    run.floors_file.write_text("{}")
    lacks = find_verdict(RunFolder(run.path)).not_judged.values()
    assert lacks
    assert all("fewer validation images" in lack for lack in lacks)
