"""Batches: each sample once, in an order that can be continued, on the device that trains."""

from types import SimpleNamespace
from typing import cast

import lightning as L
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gans.config.build import build_data
from gans.data.batches import Dataset, SequentialLoader, ShuffledLoader
from tests.configs import run_config


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 1000), st.booleans())
def test_an_epoch_is_one_pass_in_an_order_of_its_own(count: int, size: int, seed: int, replacement: bool) -> None:
    size = min(size, count)
    images = Dataset(torch.arange(count, dtype=torch.uint8)[:, None], torch.arange(count))
    batches = ShuffledLoader(images, size, seed, replacement=replacement)
    epochs = [[batch.labels for batch in batches] for _ in range(2)]
    for epoch in epochs:
        assert [len(labels) for labels in epoch] == [size] * (count // size)
        if not replacement:
            assert len(torch.cat(epoch).unique()) == len(epoch) * size
    if count > 20 and count // size * size > 20:
        assert not torch.equal(torch.cat(epochs[0]), torch.cat(epochs[1]))


@given(st.integers(0, 11))
def test_a_restored_loader_goes_on_where_it_was(position: int) -> None:
    images = Dataset(torch.zeros(30, 1, dtype=torch.uint8), torch.arange(30))
    whole = ShuffledLoader(images, 5, seed=3)
    batches = [batch.labels for _ in range(2) for batch in whole]
    stopped = ShuffledLoader(images, 5, seed=3)
    seen: list[torch.Tensor] = []
    for batch in (batch for _ in range(2) for batch in stopped):
        if len(seen) == position:
            break
        seen.append(batch.labels)
        state = stopped.state_dict()
    restored = ShuffledLoader(images, 5, seed=3)
    if seen:
        restored.load_state_dict(state)
    rest = [batch.labels for batch in restored]
    expected = batches[position : position + len(rest)]
    assert len(rest) > 0
    assert all(torch.equal(first, second) for first, second in zip(rest, expected, strict=True))


@pytest.mark.parametrize("source", ["data=digits", "model=mlp", "data=stacked_digits"])
def test_batches_are_picked_on_the_device_that_trains(source: str) -> None:
    """PyTorch's meta device has shapes and no values: whatever is copied to or from it in between fails."""
    data = build_data(run_config(source, "data.batch_size=20"))
    usual = next(iter(data.train_batches))
    data.train_batches.move_to(torch.device("cpu"))
    assert data.train_batches.images.content is data.with_label_noise().content, "on the host nothing is copied"
    data.train_batches = ShuffledLoader(data.with_label_noise(), 20, data.seed)
    data.trainer = cast("L.Trainer", SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device("meta"))))
    batch = next(iter(data.train_dataloader()))
    assert [(each.device.type, each.shape) for each in batch] == [("meta", each.shape) for each in usual]


def test_held_out_batches_are_every_image_once_in_order() -> None:
    images = Dataset(torch.zeros(7, 1, dtype=torch.uint8), torch.arange(7))
    batches = SequentialLoader(images, 3)
    assert [batch.labels.tolist() for batch in batches] == [[0, 1, 2], [3, 4, 5], [6]]
    assert len(batches) == 3
