"""Points from mixtures with known modes: the data, how they are judged, and what a run of them leaves."""

from pathlib import Path

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageSequence
from scipy.stats import binom, entropy
from torch import Tensor

from gans.config.build import build_data, build_gan
from gans.run.callbacks.landscape import SIDE, landscape
from gans.data.batches import Points
from gans.data.dirac import Dirac
from gans.data.grid import Grid
from gans.data.points import PointData
from gans.data.ring import Ring
from gans.errors import InputError
from gans.gan import GAN
from gans.metrics.base import EvaluationData, Sample
from gans.metrics.mixture import Mixture
from gans.run.folder import Run
from gans.run.commands import start_run
from gans.run.sample import generate
from gans.config.schema import Request
from tests.conftest import composed

SMALL = ("trainer.max_epochs=2", "samples.count=50", "samples.frames=4", "log_every=1",
         "trainer.check_val_every_n_epoch=1")  # fmt: skip


def source_of(name: str, *overrides: str) -> PointData:
    return build_data(composed(f"data={name}", "data.batch_size=10", *overrides))


def judged(data: PointData, points: Tensor) -> dict[str, float]:
    """Points in the place of generated ones, by the metric."""
    sample = Sample(points, torch.zeros(len(points), dtype=torch.long), *data.feature_extractor.describe(points))
    return Mixture().compute(evidence_of(data, sample))


def evidence_of(data: PointData, fake: Sample) -> EvaluationData:
    return EvaluationData(
        real=fake, fake=fake, classes=data.classes, training=lambda: fake, more=NotImplemented, source_size=0
    )


# --- data ------------------------------------------------------------------------------------------------------------


@given(st.integers(1, 40), st.floats(0.1, 10))
@settings(deadline=None)
def test_the_modes_of_a_ring_are_distinct_and_evenly_spaced(count: int, radius: float) -> None:
    """linspace(0, 2 pi, 8) would give the first one twice."""
    modes = Ring(modes=count, radius=radius, batch_size=1).feature_extractor.modes
    assert modes.shape == (count, 2)
    assert modes.norm(dim=1).numpy() == pytest.approx([radius] * count, rel=1e-5)
    around = (modes.roll(-1, 0) - modes).norm(dim=1).numpy()
    assert around == pytest.approx([2 * radius * numpy.sin(numpy.pi / count)] * count, rel=1e-4, abs=1e-5)


def test_the_published_ring_and_grid() -> None:
    ring, grid = Ring(batch_size=1), Grid(batch_size=1)
    assert len(ring.feature_extractor.modes.unique(dim=0)) == 8
    assert ring.feature_extractor.deviation == 0.01
    places = {(float(x), float(y)) for x, y in grid.feature_extractor.modes}
    assert places == {(x, y) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)}
    assert grid.feature_extractor.deviation == 0.05


@pytest.mark.parametrize("name", ["ring", "grid"])
def test_the_true_mixture_is_of_high_quality_and_reaches_all_modes(name: str) -> None:
    data = source_of(name)
    points, modes = data.train_images.positions, len(data.classes)
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
    small = ("data.train_size=200", "data.val_size=100", "data.test_size=100")
    first, same, other = (source_of(name, *small, option) for option in ("seed=0", "seed=5", "data.split_seed=1"))
    for subset in ("train", "val", "test"):
        assert torch.equal(first.subsets[subset].positions, same.subsets[subset].positions)
        assert not torch.equal(first.subsets[subset].positions, other.subsets[subset].positions)
    pack_size = torch.cat([points.positions for points in first.subsets.values()])
    assert len(pack_size.unique(dim=0)) == len(pack_size) == 400
    orders = [next(iter(data.train_batches)).images for data in (first, same)]
    assert not torch.equal(*orders)


def test_dirac_data_are_nothing_but_zeros() -> None:
    data = source_of("dirac")
    assert isinstance(data, Dirac)
    assert data.train_images.positions.shape == (100, 1)
    assert not data.train_images.positions.any()
    assert judged(data, torch.zeros(5, 1)) == {"modes": 1, "high_quality": 1, "mode_kl": 0}
    assert judged(data, torch.full((5, 1), 1e-3))["high_quality"] == 0


def test_what_is_stored_is_what_was_made() -> None:
    data = source_of("ring", "data.train_size=100")
    points = torch.randn(7, 2)
    stored = data.stored(points.double(), torch.arange(7))
    assert torch.equal(stored.positions, points.double().float())
    assert data.to_metric_format(stored).labels.tolist() == list(range(7))
    assert isinstance(stored.at(slice(3)), Points)


# --- the metric ------------------------------------------------------------------------------------------------------


@given(st.integers(0, 10_000), st.integers(1, 200), st.floats(0.001, 0.5))
@settings(max_examples=50, deadline=None)
def test_the_metric_against_distances_one_by_one(seed: int, count: int, deviation: float) -> None:
    data = Ring(deviation=deviation, batch_size=1)
    points = torch.randn(count, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    nearest, near = [], []
    for point in points.numpy():
        distances = [numpy.linalg.norm(point - mode) for mode in data.feature_extractor.modes.numpy()]
        nearest.append(int(numpy.argmin(distances)))
        near.append(min(distances) <= 3 * deviation)
    counts = numpy.bincount(nearest, minlength=8)
    assert judged(data, points) == pytest.approx({
        "modes": len({mode for mode, good in zip(nearest, near, strict=True) if good}),
        "high_quality": numpy.mean(near),
        "mode_kl": entropy(counts / counts.sum(), [1 / 8] * 8),
    })  # fmt: skip
    sample = Sample(points, torch.zeros(count), *data.feature_extractor.describe(points))
    shown = Mixture().artifacts(evidence_of(data, sample))["counts"]
    assert shown.tolist() == [
        sum(good for mode, good in zip(nearest, near, strict=True) if mode == each) for each in range(8)
    ]


def test_a_collapsed_generator_and_one_that_misses() -> None:
    data = Grid(batch_size=1)
    one = judged(data, data.feature_extractor.modes[3:4].expand(500, -1))
    assert one == pytest.approx({"modes": 1, "high_quality": 1, "mode_kl": numpy.log(25)})
    between = judged(data, data.feature_extractor.modes + 1)  # farther than three deviations from any
    assert (between["modes"], between["high_quality"]) == (0, 0)


# --- the landscape ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("objective", "way"), [("bce", 1), ("least_squares", 1), ("wasserstein", -1)])
def test_the_landscape_of_a_known_discriminator(objective: str, way: int) -> None:
    """Higher is more real, whatever the objective's sign: a Wasserstein critic scores reals low."""
    gan = build_gan(composed("model=dirac", f"objective={objective}", "model.discriminator.psi=0.7"))
    points = torch.linspace(-2, 2, 9)[:, None]
    scores, gradients = landscape(gan, points)
    assert torch.allclose(scores, way * 0.7 * points[:, 0])
    assert torch.allclose(gradients, torch.full((9, 1), way * 0.7))


def test_the_landscapes_gradients_are_differences_of_its_scores() -> None:
    gan = build_gan(composed("model=mlp", "model.discriminator.width=20")).double()
    random = torch.Generator().manual_seed(0)
    points, step = torch.randn(20, 2, generator=random, dtype=torch.float64), 1e-6
    gan.discriminator.train()
    with torch.inference_mode():
        _, gradients = landscape(gan, points)
    for axis in range(2):
        moved = torch.zeros(2, dtype=torch.float64).index_fill(0, torch.tensor([axis]), step)
        higher, lower = (gan.discriminate(points + way * moved, NotImplemented)[:, 0] for way in (1, -1))
        assert torch.allclose((higher - lower) / (2 * step), gradients[:, axis], atol=1e-4)
    assert gan.discriminator.training
    assert all(value.grad is None for value in gan.parameters())


# --- runs ------------------------------------------------------------------------------------------------------------


def run_of(folder: Path, *overrides: str) -> Run:
    config = composed(f"runs={folder}", *SMALL, *overrides)
    return start_run(config, {"data": "points", "model": "some", "objective": "own"})


@pytest.fixture(scope="module")
def ring_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    sizes = ("data.train_size=400", "data.val_size=200", "data.test_size=300")
    return run_of(tmp_path_factory.mktemp("ring"), "model=mlp", *sizes)


def test_a_run_of_points_leaves_their_figures(ring_run: Run) -> None:
    drawn = {path.name for path in ring_run.figures.iterdir()}
    assert drawn == {"models.txt", "losses.png", "accuracy.png", "metrics.png", "plane.png", "plane.gif", "modes.png"}
    with Image.open(ring_run.figures / "plane.gif") as film:
        assert sum(1 for _ in ImageSequence.Iterator(film)) == len(ring_run.grids)
    for grid in ring_run.grids:
        assert grid.images.shape == (50, 2)
        assert {name: array.shape for name, array in grid.landscape.items()} == {
            "lattice": (SIDE**2, 2), "scores": (SIDE**2,), "gradients": (SIDE**2, 2),
        }  # fmt: skip
    assert numpy.abs(ring_run.grids[0].landscape["lattice"]).max() == pytest.approx(1.5)
    assert ring_run.mode_counts is not None
    results = ring_run.curves["val/modes_200_ring1"]["value"]
    assert len(results) == 2


def test_the_dirac_gans_way_is_recorded(tmp_path: Path) -> None:
    run = run_of(tmp_path, "model=dirac", "data.train_size=10", "samples.frames=20")
    assert "trajectory.png" in {path.name for path in run.figures.iterdir()}
    assert [grid.step for grid in run.grids] == list(range(21))
    theta = [float(grid.images.mean()) for grid in run.grids]
    psi = [float(grid.landscape["gradients"].mean()) for grid in run.grids]
    assert (theta[0], psi[0]) == (1, 0)
    # D pays for the fake, and the real at 0 has no slope: sigmoid(0). Then G follows the new psi
    assert psi[1] == pytest.approx(-0.2 * 0.5)
    assert theta[1] == pytest.approx(1 + 0.2 * psi[1] / (1 + numpy.exp(psi[1])), abs=1e-6)


def test_points_of_a_trained_generator(ring_run: Run, tmp_path: Path) -> None:
    request = Request(run=str(ring_run.path), count=600, seed=0, classes=None, pngs=False, npz=True,
                      output=str(tmp_path / "made"), data_root=None)  # fmt: skip
    folder = generate(request)
    points = numpy.load(folder / "images.npz")["images"]
    assert points.shape == (600, 2)
    assert points.dtype == numpy.float32
    assert (folder / "grid.png").is_file()
    with pytest.raises(InputError, match="makes points, not images"):
        generate(request.model_copy(update={"pngs": True, "output": str(tmp_path / "again")}))
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize(("model", "data"), [("mlp", "digits"), ("dcgan", "ring"), ("dirac", "ring"), ("mlp", "dirac")])
def test_networks_that_do_not_fit_the_data_are_refused(tmp_path: Path, model: str, data: str) -> None:
    with pytest.raises(InputError, match=r"[uU]se another model"):
        run_of(tmp_path, f"model={model}", f"data={data}", "data.batch_size=10")
    assert not list(tmp_path.iterdir())


def test_gan_of_points_is_a_plain_gan() -> None:
    assert type(build_gan(composed("model=mlp"))) is GAN
