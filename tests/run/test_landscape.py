"""The discriminator's scores around points, and what a run of points records of them."""

from pathlib import Path
from typing import Any

import numpy
import pytest
import torch

from gans.data.points import Mixture, PointData
from gans.run.callbacks.landscape import SIDE, landscape
from gans.run.commands import start
from gans.run.folder import RunFolder
from tests.training import gan_of, points_gan, small_config


@pytest.mark.parametrize(("objective", "way"), [("bce", 1), ("least_squares", 1), ("wasserstein", -1)])
def test_the_landscape_of_a_known_discriminator(objective: str, way: int) -> None:
    """Higher is more real, whatever the objective's sign: a Wasserstein critic scores reals low."""
    gan = gan_of("dirac", objective, changes={"model.discriminator.psi": 0.7})
    points = torch.linspace(-2, 2, 9)[:, None]
    scores, gradients = landscape(gan, points)
    assert torch.allclose(scores, way * 0.7 * points[:, 0])
    assert torch.allclose(gradients, torch.full((9, 1), way * 0.7))


def test_the_landscapes_gradients_are_differences_of_its_scores() -> None:
    gan = points_gan().double()
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


def run_of(folder: Path, model: str, **changes: object) -> RunFolder:
    budget = {"runs": str(folder), "trainer.max_steps": 6, "log_every": 1, "samples.count": 9, "samples.frames": 2}
    config = small_config(
        f"model={model}", budget | {name.replace("__", "."): value for name, value in changes.items()}
    )
    return start(config, model)


def test_the_dirac_gans_way_is_recorded(tmp_path: Path) -> None:
    run = run_of(tmp_path, "dirac", data__batch_size=1, samples__frames=6)
    assert "trajectory.png" in {path.name for path in run.figures.iterdir()}
    assert [grid.step for grid in run.grids] == list(range(7))
    theta = [float(grid.images.mean()) for grid in run.grids]
    psi = [float(grid.landscape["gradients"].mean()) for grid in run.grids]
    assert (theta[0], psi[0]) == (1, 0)
    # D pays for the fake, and the real at 0 has no slope: sigmoid(0). Then G follows the new psi
    assert psi[1] == pytest.approx(-0.2 * 0.5)
    assert theta[1] == pytest.approx(1 + 0.2 * psi[1] / (1 + numpy.exp(psi[1])), abs=1e-6)


@pytest.mark.slow
def test_a_run_of_points_leaves_their_figures(tmp_path: Path) -> None:
    run = run_of(tmp_path, "mlp")
    drawn = {path.name for path in run.figures.iterdir()}
    assert {"losses.png", "accuracy.png", "metrics.png", "plane.png", "plane.gif", "modes.png"} <= drawn
    assert not {"samples.png", "film.gif", "neighbours.png", "data.png"} & drawn
    for grid in run.grids:
        assert grid.images.shape == (9, 2)
        assert {name: array.shape for name, array in grid.landscape.items()} == {
            "lattice": (SIDE**2, 2), "scores": (SIDE**2,), "gradients": (SIDE**2, 2),
        }  # fmt: skip
    assert numpy.abs(run.grids[0].landscape["lattice"]).max() == pytest.approx(1.5)
    assert run.mode_counts is not None


class Corners(PointData):
    """Three points in space."""

    source = "corners"

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.feature_extractor = Mixture("corners", torch.eye(3), 0.1)
        self.extent = 1.5


@pytest.mark.slow
def test_points_in_more_than_two_dimensions_have_no_landscape(tmp_path: Path) -> None:
    """It would take a lattice of 41 points along each."""
    sizes = {"batch_size": 8, "train_size": 64, "val_size": 20, "test_size": 20}
    source = {"_target_": f"{__name__}.Corners", **sizes}
    dimensions = {"model__generator__dimensions": 3, "model__discriminator__dimensions": 3}
    run = run_of(tmp_path, "mlp", data=source, **dimensions)
    assert [grid.landscape for grid in run.grids] == [{}] * len(run.grids)
    assert run.grids[-1].images.shape[1] == 3
