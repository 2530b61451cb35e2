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
    means.add_numbers({"one": 1.0}, weight=1)
    means.add_numbers({"one": 4.0, "other": 7.0}, weight=2)
    assert means.pop() == {"one": 3.0, "other": 7.0}
