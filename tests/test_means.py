"""Means are weighted means, wherever they are interrupted."""

import numpy
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gans.means import MeanAccumulator


@given(st.lists(st.tuples(st.floats(-1e3, 1e3), st.integers(1, 50)), min_size=1, max_size=20), st.integers(0, 20))
def test_means_are_weighted_means(values: list[tuple[float, int]], interruption: int) -> None:
    means = MeanAccumulator()
    for index, (value, weight) in enumerate(values):
        if index == interruption:
            state, means = means.state_dict(), MeanAccumulator()
            means.load_state_dict(state)
        means.add({"loss": torch.tensor(value, dtype=torch.float64)}, weight)
    numbers, weights = zip(*values, strict=True)
    assert means.pop()["loss"] == pytest.approx(numpy.average(numbers, weights=weights), rel=1e-9, abs=1e-9)
    assert means.pop() == {}


def test_each_name_has_a_mean_of_its_own() -> None:
    means = MeanAccumulator()
    means.add({"one": torch.tensor(1.0)}, weight=1)
    means.add({"one": torch.tensor(4.0), "other": torch.tensor(7.0)}, weight=2)
    assert means.pop() == {"one": 3.0, "other": 7.0}


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(-9, 9), st.integers(1, 5), st.booleans()), min_size=1))
def test_a_mean_of_means_is_the_mean_of_all(values: list[tuple[str, float, int, bool]]) -> None:
    """Wherever it is cut into parts, and however often each name comes in one."""
    parts, whole, once = MeanAccumulator(), MeanAccumulator(), MeanAccumulator()
    for name, value, weight, is_cut in values:
        for means in (parts, once):
            means.add({name: torch.tensor(value, dtype=torch.float64)}, weight)
        if is_cut:
            whole.add_means(parts.pop_weighted())
    whole.add_means(parts.pop_weighted())
    assert whole.pop() == pytest.approx(once.pop(), rel=1e-9, abs=1e-9)
