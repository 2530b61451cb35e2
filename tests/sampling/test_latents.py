"""Ways between latents, and the truncation trick."""

import math
from collections.abc import Callable

import pytest
import torch
from scipy.stats import kstest, truncnorm

from gans.sampling.latents import INTERPOLATIONS, linear, spherical, truncate


def latents(count: int, size: int = 100, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("interpolate", INTERPOLATIONS.values(), ids=INTERPOLATIONS)
def test_ways_lead_from_the_start_to_the_end_and_back(interpolate: Callable[..., torch.Tensor]) -> None:
    start, end = latents(5), latents(5, seed=1)
    assert torch.equal(interpolate(start, end, 0.0), start)
    assert torch.equal(interpolate(start, end, 1.0), end)
    assert torch.equal(interpolate(start, start, 0.3), start)
    torch.testing.assert_close(interpolate(start, end, 0.3), interpolate(end, start, 0.7))


def test_on_a_sphere_the_norm_stays_and_the_angle_grows_evenly() -> None:
    start, end = (10 * torch.nn.functional.normalize(latents(50, seed=seed)) for seed in (0, 1))
    whole = torch.cosine_similarity(start, end).acos()
    for share in (0.2, 0.5, 0.9):
        middle = spherical(start, end, share)
        torch.testing.assert_close(middle.norm(dim=1), torch.full((50,), 10.0))
        torch.testing.assert_close(torch.cosine_similarity(start, middle).acos(), share * whole, atol=1e-3, rtol=1e-3)


def test_normal_latents_keep_their_norm_on_average_only_on_a_sphere() -> None:
    start, end = latents(2000), latents(2000, seed=1)
    typical = start.square().sum(1).mean().item()
    assert spherical(start, end, 0.5).square().sum(1).mean().item() == pytest.approx(typical, rel=0.02)
    assert linear(start, end, 0.5).square().sum(1).mean().item() == pytest.approx(typical / 2, rel=0.05)


@pytest.mark.parametrize("factor", [1.0, 2.0, -1.0, 0.0])
def test_parallel_and_opposite_latents_have_a_way_between_them(factor: float) -> None:
    start = latents(3)
    torch.testing.assert_close(spherical(start, factor * start, 0.5), (1 + factor) / 2 * start, atol=0.8, rtol=0.5)
    assert spherical(start, factor * start, 0.5).isfinite().all()


@pytest.mark.parametrize("largest", [0.01, 0.7, 2.0])
def test_truncated_latents_have_the_distribution_of_drawing_again(largest: float) -> None:
    made = truncate(latents(200), largest).flatten().numpy()
    assert abs(made).max() <= largest
    assert kstest(made, truncnorm(-largest, largest).cdf).pvalue > 0.01


def test_truncation_is_gradual_keeps_the_order_and_ends_with_no_change() -> None:
    drawn = latents(1, 1000)[0].sort().values
    assert (truncate(drawn, 0.5).diff() >= 0).all()
    torch.testing.assert_close(truncate(drawn, 0.5), truncate(drawn, 0.501), atol=2e-3, rtol=0)
    torch.testing.assert_close(truncate(drawn, math.inf), drawn)
