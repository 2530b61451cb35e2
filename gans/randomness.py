"""Random numbers as a function of (seed, name, step): no use of them changes the numbers of another use."""

import zlib

import numpy
import torch


def derive_seed(seed: int, name: str, *position: int) -> int:
    """A 63-bit seed that depends on the arguments alone; other arguments give an unrelated seed.

    But a last position of 0 changes nothing, so give a name the same number of positions everywhere.
    """
    entropy = (seed, zlib.crc32(name.encode()), *position)
    return int(numpy.random.SeedSequence(entropy).generate_state(1, numpy.uint64)[0] >> 1)


class Streams:
    """The random generators of one step of one stage (training, held-out data, a sample grid), one per name.

    ``streams("latent")`` returns the same generator every time, so a second draw continues the first. Another name,
    step, stage or seed gives an independent generator.
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


def seed_layers(seed: int, device: torch.device) -> None:
    """Seed PyTorch's global generator of a device, for layers that accept no other, such as dropout.

    ``torch.manual_seed`` would also seed all other devices, and keep a stack trace for each that is not in use yet.
    """
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(seed)
