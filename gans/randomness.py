"""Random numbers as a function of (seed, name, step): nobody's draws depend on who else drew."""

import zlib
from functools import lru_cache

import numpy
import torch
from torch import Tensor


def derive_seed(seed: int, name: str, *position: int) -> int:
    """A 63-bit seed that is a function of its arguments alone, and far from that of any neighbouring arguments."""
    entropy = (seed, zlib.crc32(name.encode()), *position)
    return int(numpy.random.SeedSequence(entropy).generate_state(1, numpy.uint64)[0] >> 1)


class Streams:
    """The random generators of one step of one stage (training, held-out data, a sample grid), one per name.

    ``streams("latent")`` is the same generator each time it is asked for, so that a second draw goes on where the
    first ended; another name, step, stage or seed gives an independent one.
    """

    def __init__(self, seed: int, stage: str, step: int = 0, device: torch.device | str = "cpu") -> None:
        self.seed = seed
        self.stage = stage
        self.step = step
        self.device = device
        self._generators: dict[str, torch.Generator] = {}

    def __call__(self, name: str) -> torch.Generator:
        if name not in self._generators:
            generator = torch.Generator(self.device)
            generator.manual_seed(derive_seed(self.seed, f"{self.stage}/{name}", self.step))
            self._generators[name] = generator
        return self._generators[name]


MANY = 1 << 15
"""From so many words on, SplitMix64 takes less time than one draw after the other."""

GAMMA = 0x9E3779B97F4A7C15
FACTORS = {30: 0xBF58476D1CE4E5B9, 27: 0x94D049BB133111EB}
"""SplitMix64's constants (Steele et al. 2014, figures 16 and 17)."""


def random_words(count: int) -> Tensor:
    """64 random bits in each of ``count`` integers, from PyTorch's own generator of the CPU.

    It draws one after the other, on one thread. So of many it only draws the seed.
    """
    if count < MANY:
        return torch.empty(count, dtype=torch.int64).random_(torch.iinfo(torch.int64).min, None)
    return splitmix64(torch.empty((), dtype=torch.int64).random_(), count)


def splitmix64(seed: Tensor, count: int) -> Tensor:
    """The first ``count`` values from a seed, by a few products for all of them at once.

    Args:
        seed: int64, shape ().

    Returns:
        int64, shape (count,).
    """
    words = _steps(count) + seed
    for shift, factor in FACTORS.items():
        words ^= _shifted(words, shift)
        words *= _signed(factor)
    return words.bitwise_xor_(_shifted(words, 31))


def _shifted(words: Tensor, shift: int) -> Tensor:
    """To the right, filled with zeros; PyTorch fills with the sign."""
    return (words >> shift).bitwise_and_((1 << (64 - shift)) - 1)


@lru_cache(maxsize=32)
def _steps(count: int) -> Tensor:
    return torch.arange(1, count + 1) * _signed(GAMMA)


def _signed(word: int) -> int:
    """The same 64 bits, taken for a number with a sign."""
    return (word + (1 << 63)) % (1 << 64) - (1 << 63)


def seed_layers(seed: int, device: torch.device) -> None:
    """Seed PyTorch's own generator of a device, for layers that take no other: dropout.

    As ``torch.manual_seed`` does, which also keeps a stack trace for each kind of device that may come to be used.
    """
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(seed)
