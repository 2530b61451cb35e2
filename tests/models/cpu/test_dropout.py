"""The fast dropout has the law of PyTorch's."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from gans.models.cpu.dropout import Dropout


@given(rate=st.floats(0.0, 1.0, exclude_max=True), seed=st.integers(0, 2**32))
def test_dropout_keeps_the_expectation_at_every_rate(rate: float, seed: int) -> None:
    torch.manual_seed(seed)
    values = torch.ones(64, 1000)
    found = Dropout(rate)(values)
    kept = (found != 0).double().mean().item()
    assert abs(kept - (1 - rate)) < 5 * max((rate * (1 - rate) / values.numel()) ** 0.5, 1e-4)
    assert len(found[found != 0].unique()) <= 1
    if kept > 0.1:
        assert found[found != 0].unique().item() == pytest.approx(1 / (1 - rate), rel=1e-3)


def test_masks_are_independent_of_place_and_neighbours() -> None:
    """Four values share a random word: none of them may be special, and no pair related."""
    torch.manual_seed(0)
    kept = (Dropout(0.3)(torch.ones(1 << 20)) != 0).double() - 0.7
    assert kept.view(-1, 8).mean(0).abs().max() < 5 * (0.21 / 2**17) ** 0.5
    for distance in range(1, 9):
        covariance = (kept[distance:] * kept[:-distance]).mean().item()
        assert abs(covariance) < 5 * 0.21 / 2**10, distance


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_dropout_is_a_mask_with_exact_gradients(layout: torch.memory_format, dtype: torch.dtype) -> None:
    layer, values = Dropout(0.3), torch.randn(4, 6, 5, 3).to(dtype).contiguous(memory_format=layout).requires_grad_()
    torch.manual_seed(1)
    mask = layer.mask(values)
    torch.manual_seed(1)
    found = layer(values)
    assert torch.equal(found, values * mask)
    assert found.dtype == dtype
    assert found.is_contiguous(memory_format=layout)
    scale = torch.tensor(65536 / (65536 - round(0.3 * 65536)), dtype=dtype).item()
    assert set(mask.flatten().tolist()) == {0.0, scale}
    (gradient,) = torch.autograd.grad(found.sum(), values)
    assert torch.equal(gradient, mask)


def test_dropout_of_what_is_not_dense_and_of_nothing() -> None:
    values = torch.ones(10, 8)[::2, ::3]
    assert (Dropout(0.5)(values) > 0).float().mean() > 0
    assert Dropout(0.5)(torch.ones(0, 3)).shape == (0, 3)
    assert torch.equal(Dropout(0.5).eval()(values), values)
    assert torch.equal(Dropout(0.0)(values), values)
    assert not Dropout(1.0)(values).any()


def test_dropout_has_second_derivatives() -> None:
    """A gradient penalty differentiates the gradient: that of a product with a constant mask."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.Softplus(), Dropout(0.5), nn.Linear(4, 1)).double()

    def same_mask(points: Tensor) -> Tensor:
        torch.manual_seed(3)
        return network(points)

    points = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(same_mask, points)
    assert torch.autograd.gradgradcheck(same_mask, points)
