"""Random numbers as a function of (seed, name, step): nobody's draws depend on who else drew."""

import zlib

import numpy
import torch


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


def seed_layers(seed: int, device: torch.device) -> None:
    """Seed PyTorch's own generator of a device, for layers that take no other: dropout.

    As ``torch.manual_seed`` does, which also keeps a stack trace for each kind of device that may come to be used.
    """
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(seed)
