"""The evaluator: the same figures whatever colours, seed and limit a run has, and floors that are computed once."""

from pathlib import Path
from time import sleep

import pytest
import torch

from gans.data import progress
from gans.data.images import ImageData
from gans.errors import InputError, TrainingError
from gans.features.files import load_features
from gans.metrics.base import EvaluationData, Metric
from gans.metrics.evaluator import Evaluator, GeneratedSamples, Subset
from gans.metrics.fid import FID
from gans.metrics.precision_recall import PrecisionRecall
from tests.data.test_images import data_of


def evaluator(data: ImageData, max_samples: int = 10_000) -> Evaluator:
    metrics = {"fid": FID(during_training=True), "precision_recall": PrecisionRecall()}
    return Evaluator(metrics, load_features("digits"), data, max_samples)


def made_of(data: ImageData, pixels: torch.Tensor) -> GeneratedSamples:
    labels = data.test_images.labels[: len(pixels)]
    return GeneratedSamples(pixels / 255, labels, more=lambda _: data.train_pool, conditional=False, transforms=False)


def test_inverted_data_are_judged_as_what_they_show() -> None:
    plain, inverted = (data_of("data=digits", f"data.invert={value}") for value in ("false", "true"))
    values = [
        evaluator(data).evaluate("test", made_of(data, data.train_images.content[:397])).values
        for data in (plain, inverted)
    ]
    assert values[0] == pytest.approx(values[1], rel=1e-5)
    assert values[0]["fid_397_digits1"] < 1


@pytest.mark.slow
def test_floors_are_kept_and_depend_on_neither_seed_nor_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    def floors(*options: str) -> dict[str, float]:
        return evaluator(data_of("data=digits", *options)).floors("test", conditional=False, transforms=False)

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


def test_floors_of_an_own_metric_are_not_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It may depend on anything."""
    monkeypatch.setenv("GANS_CACHE", str(tmp_path / "cache"))
    values = iter([1.0, 2.0])

    class Own(Metric):
        def compute(self, data: EvaluationData) -> dict[str, float]:
            return {"own": next(values)}

    evaluator = Evaluator({"own": Own()}, load_features("digits"), data_of("data=digits"), 100)
    for expected in (1.0, 2.0):
        assert [*evaluator.floors("test", conditional=False, transforms=False).values()] == [expected]


class Spy(Metric):
    """Sees which images are given to train on, and returns how many they are."""

    uses_features = False

    def __init__(self) -> None:
        super().__init__(during_training=True)

    def compute(self, data: EvaluationData) -> dict[str, float]:
        self.given = data.more(data.source_size)
        return {"spy": len(self.given.labels)}


@pytest.mark.parametrize("subset", ["val", "test"])
def test_no_floor_trains_on_what_it_is_tested_on(subset: Subset) -> None:
    data, spy = data_of("data=digits"), Spy()
    (count,) = (
        Evaluator({"spy": spy}, load_features("digits"), data, 10_000)
        .floors(subset, conditional=True, transforms=False)
        .values()
    )
    assert count == len(data.train_pool.labels) + (len(data.val_images.labels) if subset == "test" else 0)
    held_out = {image.numpy().tobytes() for image in data.to_metric_format(data.subsets[subset]).content}
    assert not held_out & {image.numpy().tobytes() for image in spy.given.content}


def test_a_named_smaller_protocol() -> None:
    judge = evaluator(data_of("data=digits"), max_samples=100)
    held_out = judge.held_out("test")
    assert len(held_out.labels) == 100
    assert held_out.labels.bincount().min() >= 3  # from all over the set
    values = judge.evaluate("test", made_of(judge.data, judge.data.train_images.content[:100])).values
    assert set(values) == {"fid_100_digits1", "precision_100_digits1", "recall_100_digits1"}


class Slow(Metric):
    """A metric of a user's own."""

    def compute(self, data: EvaluationData) -> dict[str, float]:
        sleep(0.3)
        return {"slow": 1.0}


def test_a_slow_metric_gives_signs_of_life(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.1)
    monkeypatch.setattr(progress, "POLL_SECONDS", 0.02)
    monkeypatch.setenv("GANS_CACHE", str(tmp_path))
    data = data_of("data=digits")
    judge = Evaluator({"my_metric": Slow()}, load_features("digits"), data, 100)
    for work in (
        lambda: judge.evaluate("test", made_of(data, data.train_images.content[:100])),
        lambda: judge.floors("test", conditional=False, transforms=False),
    ):
        work()
        assert "my_metric" in capsys.readouterr().err


def test_images_that_are_not_finite_are_refused() -> None:
    data = data_of("data=digits")
    pixels = data.test_images.content.float()
    pixels[5, 0, 3, 3] = float("nan")
    with pytest.raises(TrainingError, match="not finite"):
        evaluator(data).evaluate("test", made_of(data, pixels))


def test_a_filter_that_leaves_a_class_empty_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = data_of("data=digits")
    train, test = data.train_pool, data.test_images.select(data.test_images.labels != 3)
    monkeypatch.setattr("gans.data.digits.Digits.read", lambda _: (train, test))
    with pytest.raises(InputError, match=r"none of the 357 test images shows 3: choose other classes$"):
        data_of("data=digits")
    with pytest.raises(InputError, match=r"none of the 0 test images shows 3"):
        data_of("data=digits", "data.classes=[3]")


def test_there_are_no_floors_if_no_training_image_is_left() -> None:
    data = data_of("data=digits", "data.val_size=1000", "data.limit=20", "data.batch_size=10")
    assert evaluator(data).floors("test", conditional=False, transforms=False) == {}


def test_a_cache_that_cannot_be_written_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    data = data_of("data=digits")
    expected = evaluator(data).floors("test", conditional=False, transforms=False)
    for place in (tmp_path / "file" / "cache", "/proc/cache"):
        monkeypatch.setenv("GANS_CACHE", str(place))
        capsys.readouterr()
        assert evaluator(data).floors("test", conditional=False, transforms=False) == expected
        (warning,) = capsys.readouterr().err.splitlines()  # of all metrics
        assert warning.startswith("warning: ")
        assert str(place) in warning
        assert "GANS_CACHE" in warning


def test_a_cache_that_is_damaged_is_computed_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANS_CACHE", str(tmp_path))
    data = data_of("data=digits")
    expected = evaluator(data).floors("test", conditional=False, transforms=False)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    for path in files:
        path.write_text("{")
    assert evaluator(data).floors("test", conditional=False, transforms=False) == expected
