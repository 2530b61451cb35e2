"""Points from mixtures with known modes: the data, and the metric that knows the mixture."""

from typing import Any

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, entropy
from torch import Tensor

from gans.config.build import build
from gans.data.dirac import Dirac
from gans.data.grid import Grid
from gans.data.points import PointData
from gans.data.ring import Ring
from gans.errors import InputError
from gans.metrics.base import EvaluationData, SampleFeatures
from gans.metrics.mixture import Mixture
from tests.training import option


def source_of(name: str, **options: Any) -> PointData:
    """A shipped data set of points, perhaps with other options."""
    data = build(option("data", name) | {"batch_size": 10} | options, "data")
    data.setup()
    return data


def evaluation_of(data: PointData, points: Tensor) -> EvaluationData:
    """Points in the place of generated ones."""
    labels = torch.zeros(len(points), dtype=torch.long)
    fake = SampleFeatures(points, labels, *data.feature_extractor.extract(points))
    return EvaluationData(
        real=fake, fake=fake, classes=data.classes, training=lambda: fake, more=NotImplemented, source_size=0
    )


class Unplaced(PointData):
    source = "unplaced"
    feature_extractor = source_of("ring").feature_extractor


def test_points_without_a_place_for_their_figures_are_refused() -> None:
    with pytest.raises(InputError, match="Unplaced has no extent"):
        Unplaced(batch_size=10).setup()


def judged(data: PointData, points: Tensor) -> dict[str, float]:
    return Mixture().compute(evaluation_of(data, points))


@given(st.integers(1, 40), st.floats(0.1, 10))
def test_the_modes_of_a_ring_are_distinct_and_evenly_spaced(count: int, radius: float) -> None:
    """linspace(0, 2 pi, 8) would give the first one twice."""
    modes = Ring(modes=count, radius=radius, batch_size=1).feature_extractor.modes
    assert modes.shape == (count, 2)
    assert modes.norm(dim=1).numpy() == pytest.approx([radius] * count, rel=1e-5)
    around = (modes.roll(-1, 0) - modes).norm(dim=1).numpy()
    assert around == pytest.approx([2 * radius * numpy.sin(numpy.pi / count)] * count, rel=1e-4, abs=1e-5)


def test_the_published_ring_and_grid() -> None:
    ring, grid = source_of("ring", train_size=10), source_of("grid", train_size=10)
    assert len(ring.feature_extractor.modes.unique(dim=0)) == 8
    assert ring.feature_extractor.deviation == 0.01
    places = {(float(x), float(y)) for x, y in grid.feature_extractor.modes}
    assert places == {(x, y) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)}
    assert grid.feature_extractor.deviation == 0.05


@pytest.mark.parametrize("name", ["ring", "grid"])
def test_the_true_mixture_is_of_high_quality_and_reaches_all_modes(name: str) -> None:
    data = source_of(name)
    points, modes = data.train_images.content, len(data.classes)
    values = judged(data, points)
    expected = 1 - numpy.exp(-9 / 2)  # two normal coordinates are within three deviations
    low, high = binom.interval(1 - 1e-6, len(points), expected)
    assert low <= values["high_quality"] * len(points) <= high
    assert values["modes"] == modes
    assert values["mode_kl"] == pytest.approx((modes - 1) / (2 * len(points)), rel=1)  # a chi-squared's mean
    labels = data.train_images.labels
    distances = (points - data.feature_extractor.modes[labels]) / data.feature_extractor.deviation
    assert distances.std().item() == pytest.approx(1, abs=0.01)
    assert distances.mean(0).abs().max() < 0.02


@pytest.mark.parametrize("name", ["ring", "grid"])
def test_points_are_a_function_of_split_seed_alone_and_sets_are_apart(name: str) -> None:
    sizes = {"train_size": 200, "val_size": 100, "test_size": 100}
    first, same, other = (source_of(name, **sizes, **each) for each in ({"seed": 0}, {"seed": 5}, {"split_seed": 1}))
    for subset in ("train", "val", "test"):
        assert torch.equal(first.subsets[subset].content, same.subsets[subset].content)
        assert not torch.equal(first.subsets[subset].content, other.subsets[subset].content)
    points = torch.cat([points.content for points in first.subsets.values()])
    assert len(points.unique(dim=0)) == len(points) == 400
    orders = [next(iter(data.train_batches)).images for data in (first, same)]
    assert not torch.equal(*orders)


def test_dirac_data_are_nothing_but_zeros() -> None:
    data = source_of("dirac", val_size=5)
    assert isinstance(data, Dirac)
    assert [points.content.shape for points in data.subsets.values()] == [(100, 1), (5, 1), (1, 1)]
    assert not any(points.content.any() for points in data.subsets.values())
    assert judged(data, torch.zeros(5, 1)) == {"modes": 1, "high_quality": 1, "mode_kl": 0}
    assert judged(data, torch.full((5, 1), 1e-3))["high_quality"] == 0


def test_generated_points_are_kept_as_they_are() -> None:
    data, points = source_of("ring", train_size=100), torch.randn(7, 2)
    kept = data.to_dataset(points.double(), torch.arange(7))
    assert torch.equal(kept.content, points)
    assert data.to_metric_format(kept).labels.tolist() == list(range(7))


@given(st.integers(0, 10_000), st.integers(1, 200), st.floats(0.001, 0.5))
@settings(max_examples=30)
def test_the_metric_against_distances_one_by_one(seed: int, count: int, deviation: float) -> None:
    data = Ring(deviation=deviation, batch_size=1)
    points = torch.randn(count, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    distances = numpy.linalg.norm(points.numpy()[:, None] - data.feature_extractor.modes.numpy(), axis=2)
    nearest, near = distances.argmin(1), distances.min(1) <= 3 * deviation
    counts = numpy.bincount(nearest, minlength=8)
    assert judged(data, points) == pytest.approx({
        "modes": len(set(nearest[near])),
        "high_quality": near.mean(),
        "mode_kl": entropy(counts / counts.sum(), [1 / 8] * 8),
    })  # fmt: skip
    shown = Mixture().artifacts(evaluation_of(data, points))["counts"]
    assert shown.tolist() == numpy.bincount(nearest[near], minlength=8).tolist()


def test_a_collapsed_generator_and_one_that_misses() -> None:
    data = Grid(batch_size=1)
    one = judged(data, data.feature_extractor.modes[3:4].expand(500, -1))
    assert one == pytest.approx({"modes": 1, "high_quality": 1, "mode_kl": numpy.log(25)})
    between = judged(data, data.feature_extractor.modes + 1)  # farther than three deviations from any
    assert (between["modes"], between["high_quality"]) == (0, 0)
