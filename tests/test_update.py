"""What a player's update works on: packs of samples, and passes of the discriminator."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from gans.update import PlayerBatch, mean_terms, pack, pack_samples, total, unpack
from tests.training import samples_of


@given(st.integers(1, 9), st.integers(1, 4))
def test_packs_hold_each_sample_in_order_and_the_last_is_filled_up(count: int, pack_size: int) -> None:
    images = torch.arange(count * 6).reshape(count, 2, 3)
    packs, labels = pack_samples(images, torch.arange(count), pack_size)
    assert packs.shape == (-(-count // pack_size), 2 * pack_size, 3)
    members = unpack(packs, pack_size)
    assert torch.equal(members[:count], images)
    assert torch.equal(members[count:], images[torch.arange(len(members) - count) % count])
    assert torch.equal(pack(members, pack_size), packs)
    assert labels.tolist() == list(range(0, count, pack_size))


@pytest.mark.parametrize(("separate", "passes"), [(False, [5]), (True, [3, 2])])
def test_outputs_are_of_fakes_then_reals_however_they_pass(separate: bool, passes: list[int]) -> None:
    shown: list[int] = []

    def score(images: Tensor, labels: Tensor) -> Tensor:
        shown.append(len(images))
        return torch.stack((images, labels), 1)

    fakes, reals = (
        samples_of(torch.tensor([1.0, 2, 3]), 0.0),
        samples_of(torch.tensor([4.0, 5]), 1.0, desired_real=True),
    )
    batch = PlayerBatch(score, fakes, reals, separate)
    whole = batch.forward()
    assert shown == passes
    assert whole.scores.tolist() == [1, 2, 3, 4, 5]
    assert whole.targets.tolist() == [0, 0, 0, 1, 1]
    assert whole.both.desired_real.tolist() == [False] * 3 + [True] * 2
    parts = batch.only_fake().forward(), batch.only_real().forward()
    assert torch.equal(torch.cat([part.scores for part in parts]), whole.scores)
    assert torch.equal(torch.cat([part.targets for part in parts]), whole.targets)


def test_scores_in_half_precision_are_told_in_single() -> None:
    half = samples_of(torch.tensor([1.0, 2.0], dtype=torch.bfloat16))
    assert PlayerBatch(lambda images, _: images[:, None], half, half, False).forward().scores.dtype == torch.float32


def test_a_loss_is_the_sum_of_its_terms_means() -> None:
    means = mean_terms({"one": torch.tensor([1.0, 3.0]), "other": torch.tensor([0.5])})
    assert {name: value.item() for name, value in means.items()} == {"one": 2.0, "other": 0.5}
    assert total(means).item() == 2.5
