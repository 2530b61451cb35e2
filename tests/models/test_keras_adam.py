"""Keras's Adam against its formula."""

import io
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gans.models.keras_adam import KerasAdam


def by_formula(gradients: list[float], lr: float, betas: tuple[float, float], eps: float) -> list[float]:
    """The weight after each step, from 0, as keras/src/optimizers/adam.py computes it."""
    weight = mean = square = 0.0
    path = []
    for step, gradient in enumerate(gradients, 1):
        alpha = lr * (1 - betas[1] ** step) ** 0.5 / (1 - betas[0] ** step)
        mean += (gradient - mean) * (1 - betas[0])
        square += (gradient**2 - square) * (1 - betas[1])
        weight -= mean * alpha / (square**0.5 + eps)
        path.append(weight)
    return path


def walk(gradients: list[float], optimizer_type: Any, **options: Any) -> list[float]:
    weight = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimizer = optimizer_type([weight], **options)
    path = []
    for gradient in gradients:
        weight.grad = torch.tensor(gradient, dtype=torch.float64)
        optimizer.step()
        path.append(weight.item())
    return path


@given(
    st.lists(st.floats(-1, 1).map(lambda value: value * 1e-6), min_size=1, max_size=20),
    st.sampled_from([(0.9, 0.999), (0.5, 0.999), (0.0, 0.99)]),
    st.booleans(),
)
def test_its_steps_are_those_of_the_formula(gradients: list[float], betas: tuple[float, float], fused: bool) -> None:
    """Of gradients about as small as epsilon, where the order of epsilon and bias correction shows."""
    options: dict[str, Any] = {"lr": 0.1, "betas": betas, "eps": 1e-7}
    assert walk(gradients, KerasAdam, fused=fused, **options) == pytest.approx(
        by_formula(gradients, **options), rel=1e-9, abs=1e-15
    )


def test_pytorchs_adam_is_another() -> None:
    gradients = [1e-7] * 3
    options: dict[str, Any] = {"lr": 0.1, "betas": (0.9, 0.999), "eps": 1e-7}
    assert walk(gradients, torch.optim.Adam, **options) != pytest.approx(by_formula(gradients, **options), rel=0.1)


def test_it_goes_on_where_a_checkpoint_stopped() -> None:
    random = torch.Generator().manual_seed(0)
    gradients = torch.randn(10, 5, generator=random) * 1e-6

    def train(optimizer: KerasAdam, weight: torch.Tensor, part: torch.Tensor) -> None:
        for gradient in part:
            weight.grad = gradient.clone()
            optimizer.step()

    whole = torch.zeros(5, requires_grad=True)
    train(KerasAdam([whole]), whole, gradients)
    first = torch.zeros(5, requires_grad=True)
    optimizer = KerasAdam([first])
    train(optimizer, first, gradients[:4])
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    second = first.detach().clone().requires_grad_()
    resumed = KerasAdam([second])
    resumed.load_state_dict(torch.load(file, weights_only=True))
    train(resumed, second, gradients[4:])
    assert torch.equal(whole, second)


def test_its_hooks_run_once_whatever_other_optimizers_exist() -> None:
    """Techniques such as optimism are hooks. PyTorch wraps step() of each class when the first of its kind is made."""
    calls = []
    for _ in range(2):
        weight = torch.zeros(1, requires_grad=True)
        weight.grad = torch.ones(1)
        optimizer = KerasAdam([weight])
        optimizer.register_step_post_hook(lambda *_: calls.append(1))
        optimizer.step()
        torch.optim.Adam([weight])
    assert len(calls) == 2
