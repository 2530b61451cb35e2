"""Conversion of samples between ranges."""

import pytest
import torch

from gans.data.pixels import UNIT, Range, rescale

SIGNED = (-1.0, 1.0)


@pytest.mark.parametrize("old", [UNIT, SIGNED, (0.0, 255.0)])
@pytest.mark.parametrize("new", [UNIT, SIGNED, (-0.5, 2.0)])
def test_ends_and_middle_stay_ends_and_middle_and_the_way_back_is_the_inverse(old: Range, new: Range) -> None:
    low, high = old
    samples = torch.tensor([low, (low + high) / 2, high])
    found = rescale(samples, old, new)
    torch.testing.assert_close(found, torch.tensor([new[0], sum(new) / 2, new[1]]))
    torch.testing.assert_close(rescale(found, new, old), samples)


def test_between_the_ranges_of_networks_nothing_is_rounded_but_the_sum() -> None:
    """To the bits of the plain formulas, which earlier versions had: a run and its checkpoints stay the same."""
    samples = torch.rand(10_000, generator=torch.Generator().manual_seed(0))
    assert torch.equal(rescale(samples, UNIT, SIGNED), 2 * samples - 1)
    signed = torch.tanh(torch.randn(10_000, generator=torch.Generator().manual_seed(1)))
    assert torch.equal(rescale(signed, SIGNED, UNIT), (signed + 1) / 2)
    assert rescale(samples, UNIT, UNIT) is samples
