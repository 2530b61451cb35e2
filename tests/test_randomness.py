"""Random numbers are a function of seed, stage, step and name."""

from itertools import pairwise

import torch
from hypothesis import given
from hypothesis import strategies as st

from gans.randomness import Streams, derive_seed

seeds = st.integers(0, 2**63 - 1)


@given(seeds, st.integers(0, 10**6))
def test_a_stream_depends_on_its_seed_stage_step_and_name_alone(seed: int, step: int) -> None:
    def draw(stage: str, step: int = 0, name: str = "latent", seed: int = seed) -> list[float]:
        return torch.rand(4, generator=Streams(seed, stage, step)(name)).tolist()

    first = draw("train", step)
    busy = Streams(seed, "train", step)
    torch.rand(100, generator=busy("labels"))
    torch.rand(3)
    assert torch.rand(4, generator=busy("latent")).tolist() == first
    for other in (
        draw("train", step + 1),
        draw("held-out", step),
        draw("train", step, name="labels"),
        draw("train", step, seed=seed + 1),
    ):
        assert other != first


def test_asking_a_stream_twice_goes_on_where_it_was() -> None:
    once = torch.rand(6, generator=Streams(0, "train")("latent"))
    streams = Streams(0, "train")
    twice = torch.cat([torch.rand(3, generator=streams("latent")) for _ in range(2)])
    torch.testing.assert_close(once, twice)


def test_neighbouring_seeds_are_far_apart() -> None:
    """Of independent 63-bit numbers, half of the bits differ."""
    derived = [derive_seed(seed, "weights", step) for seed in range(20) for step in range(20)]
    assert len(set(derived)) == 400
    assert all(0 <= seed < 2**63 for seed in derived)
    differing = [(one ^ other).bit_count() for one, other in pairwise(derived)]
    assert 30 < sum(differing) / len(differing) < 33
