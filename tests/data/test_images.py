"""Images: disjoint sets, chosen digits, and labels that are wrong on purpose."""

from typing import cast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from torch import Tensor

from gans.config.build import build_data
from gans.data.batches import Dataset
from gans.data.digits import Digits
from gans.data.images import ImageData
from gans.errors import InputError
from gans.features.files import load_features
from gans.metrics.evaluator import Evaluator
from gans.metrics.neighbours import Neighbours
from gans.metrics.synthetic_accuracy import SyntheticAccuracy
from tests.configs import DATA_ROOT, needs_mnist, run_config


def data_of(*overrides: str) -> ImageData:
    root = [f"data.root={DATA_ROOT}"] if DATA_ROOT and "data=mnist" in overrides else []
    return cast("ImageData", build_data(run_config(*root, *overrides)))


def rows(images: Dataset) -> list[bytes]:
    return [bytes(pixels.numpy()) for pixels in images.content]


SOURCES = ["digits", pytest.param("mnist", marks=needs_mnist)]


@pytest.mark.parametrize("source", SOURCES)
def test_the_three_sets_are_disjoint_parts_of_the_source(source: str) -> None:
    data = data_of(f"data={source}")
    counts = [len(images.labels) for images in data.subsets.values()]
    assert counts == {"digits": [1200, 200, 397], "mnist": [55_000, 5_000, 10_000]}[source]
    train, val, test = (set(rows(images)) for images in data.subsets.values())
    everything = rows(data.train_images) + rows(data.val_images) + rows(data.test_images)
    repeated = len(everything) - len(set(everything))  # images that the source itself holds twice
    assert len(train & val) + len(train & test) + len(val & test) <= repeated
    assert repeated <= {"digits": 5, "mnist": 0}[source]


@pytest.mark.parametrize("source", SOURCES)
def test_pixels_use_the_whole_range_white_on_black(source: str) -> None:
    batch = data_of(f"data={source}").val_images.to_batch()
    assert batch.images.shape[1:] == (1, 28, 28)
    assert batch.images.dtype == torch.float32
    assert batch.images.min() == 0
    assert batch.images.max() == 1
    assert batch.images[:, :, :2, :2].mean() < 0.1


def test_invert_is_one_minus_x() -> None:
    plain, inverted = data_of("data=digits"), data_of("data=digits", "data.invert=true")
    for name in plain.subsets:
        first, second = (data.subsets[name].to_batch().images for data in (plain, inverted))
        torch.testing.assert_close(second, 1 - first)


def test_digits_are_filtered_and_labels_are_indices_into_them() -> None:
    everything, some = data_of("data=digits"), data_of("data=digits", "data.classes=[8,3]")
    for name in ("train", "val", "test"):
        labels = everything.subsets[name].labels
        assert some.subsets[name].labels.bincount().tolist() == [(labels == 8).sum(), (labels == 3).sum()]
    eights = some.train_images.content[some.train_images.labels == 0]
    assert torch.equal(eights, everything.train_images.content[everything.train_images.labels == 8])


def test_the_split_does_not_depend_on_the_runs_seed() -> None:
    first, second, other = (data_of("data=digits", *extra) for extra in (["seed=0"], ["seed=5"], ["data.split_seed=1"]))
    assert torch.equal(first.val_images.content, second.val_images.content)
    assert not torch.equal(first.val_images.content, other.val_images.content)
    assert torch.equal(first.test_images.content, other.test_images.content)


def test_limit_keeps_classes_in_proportion() -> None:
    whole, limited = data_of("data=digits").train_images, data_of("data=digits", "data.limit=300").train_images
    share = whole.labels.bincount() * 300 / len(whole.labels)
    assert len(limited.labels) == 300
    assert ((limited.labels.bincount() - share).abs() <= 1).all()


def test_a_limit_above_what_there_is_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    whole = data_of("data=digits")
    count = len(whole.train_images.labels)
    data_of("data=digits", f"data.limit={count}")
    assert not capsys.readouterr().err
    assert len(data_of("data=digits", f"data.limit={count + 1}").train_images.labels) == count
    assert f"data.limit={count + 1} " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.classes=[11]", "0 to 9"),
        ("data.classes=[]", "at least 1 item"),
        ("data.classes=[8,8]", "twice"),
        ("data.limit=0", "greater than 0"),
        ("data.limit=4", "between 10"),
        ("data.label_noise=-0.1", "greater than or equal to 0"),
        ("data.label_noise=1.1", "less than or equal to 1"),
        ("data.label_noise=some", "valid number"),
        ("data.val_size=-1", "greater than or equal to 0"),
        ("data.val_size=1400", "val_size=1400"),
        ("data.batch_size=1201", "1200 training images"),
        ("data.batch_size=many", "integer"),
    ],
)
def test_options_that_do_not_fit_are_refused(override: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        data_of("data=digits", override)


def told(data: ImageData) -> Tensor:
    """The labels that a run trains with."""
    return data.train_batches.images.labels


def noisy(share: float, *overrides: str) -> ImageData:
    return data_of("data=digits", f"data.label_noise={share}", *overrides)


def test_without_label_noise_labels_are_true() -> None:
    assert torch.equal(told(noisy(0)), data_of("data=digits").train_images.labels)


@pytest.mark.parametrize("digits", ["[3,8]", "[0,1,2,3,4,5,6,7,8,9]"])
def test_with_all_the_label_noise_no_label_is_true(digits: str) -> None:
    data = noisy(1, f"data.classes={digits}")
    assert (told(data) != data.train_images.labels).all()
    assert set(told(data).tolist()) == set(range(len(data.classes)))


@settings(max_examples=5, deadline=None)
@given(st.floats(0, 1), st.integers(0, 1000))
def test_label_noise_replaces_its_share(share: float, split_seed: int) -> None:
    data = noisy(share, f"data.split_seed={split_seed}")
    count = len(data.train_images.labels)
    replaced = int((told(data) != data.train_images.labels).sum())
    assert abs(replaced - share * count) <= 6 * (share * (1 - share) * count) ** 0.5 + 3


def test_label_noise_takes_every_other_class_equally_often() -> None:
    steps = []
    for split_seed in range(5):
        data = noisy(1, f"data.split_seed={split_seed}")
        steps.append((told(data) - data.train_images.labels) % 10)
    counts = torch.cat(steps).bincount(minlength=10)
    assert counts[0] == 0
    assert chisquare(counts[1:].numpy()).pvalue > 1e-4


def test_label_noise_changes_nothing_but_what_a_run_trains_with() -> None:
    true, data = noisy(0), noisy(0.4)
    for name in true.subsets:
        assert torch.equal(data.subsets[name].content, true.subsets[name].content)
        assert torch.equal(data.subsets[name].labels, true.subsets[name].labels)
    assert torch.equal(data.train_pool.labels, true.train_pool.labels)
    for noisy_batch, batch in zip(data.train_dataloader(), true.train_dataloader(), strict=True):
        assert torch.equal(noisy_batch.images, batch.images)
        assert not torch.equal(noisy_batch.labels, batch.labels)


def test_label_noise_is_the_data_sets_not_the_runs() -> None:
    first, again, other = noisy(0.4), noisy(0.4, "seed=5"), noisy(0.4, "data.split_seed=1")
    assert torch.equal(told(first), told(again))
    assert not torch.equal(told(first) != first.train_images.labels, told(other) != other.train_images.labels)
    limited = noisy(0.4, "data.limit=300")
    assert torch.equal(told(limited), told(first)[limited.train_indices])


def test_label_noise_needs_another_class() -> None:
    with pytest.raises(InputError, match=r"data.label_noise=0.2 .*data.classes=\[8\]"):
        noisy(0.2, "data.classes=[8]")


def test_floors_are_the_same_with_label_noise() -> None:
    metrics = {"neighbours": Neighbours(), "synthetic_accuracy": SyntheticAccuracy(images=100)}
    true, data = (
        Evaluator(metrics, load_features("digits"), data, max_samples=100).floors(
            "test", conditional=True, transforms=False
        )
        for data in (noisy(0), noisy(1))
    )
    assert len(true) > 1
    assert true == data


def test_a_limit_that_leaves_out_a_rare_class_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    read = Digits.read

    def with_few_threes(data: Digits) -> tuple[Dataset, Dataset]:
        train, test = read(data)
        threes = (train.labels == 3).cumsum(0)
        return train.select((train.labels != 3) | (threes <= 6)), test

    monkeypatch.setattr(Digits, "read", with_few_threes)
    assert set(build_data(run_config("data=digits", "data.limit=400")).train_images.labels.tolist()) == {*range(10)}
    with pytest.raises(InputError, match=r"data\.limit=40 leaves no training image of 3"):
        build_data(run_config("data=digits", "data.limit=40"))
