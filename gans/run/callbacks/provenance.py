"""Provenance: versions and network summaries at the start, the generator at the end."""

import importlib.metadata
import platform
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback

from gans.config.resolve import flatten
from gans.config.schema import RunConfig
from gans.errors import warn
from gans.files import write_json, write_text
from gans.gan import GAN
from gans.randomness import Streams
from gans.run.folder import RunFolder
from gans.run.network_summary import parameter_count, summarize
from gans.run.trained import export_generator

PACKAGES = ("gans", "torch", "torchvision", "lightning", "hydra-core", "numpy")


class Provenance(Callback):
    """Writes versions.json and figures/models.txt at the start, generator.safetensors at the end."""

    def __init__(self, run: RunFolder, config: RunConfig) -> None:
        self.run = run
        self.config = config

    def on_fit_start(self, trainer: L.Trainer, pl_module: GAN) -> None:
        then, now = self.run.versions, versions(trainer)
        if then is None:
            write_json(self.run.versions_file, now)
        else:
            warn_of_changes(then, now)
        self.run.figures.mkdir(exist_ok=True)
        write_text(self.run.figures / "models.txt", model_summaries(pl_module, trainer))

    def on_fit_end(self, trainer: L.Trainer, pl_module: GAN) -> None:
        export_generator(pl_module, self.config.model_dump(), self.run.generator_file)


def model_summaries(gan: GAN, trainer: L.Trainer) -> str:
    """Tables of the generator's and the discriminator's layers, and the total number of parameters."""
    batch = trainer.datamodule.test_images.select(slice(1)).to_batch().to(gan.device)
    inputs = gan.generator.inputs(1, Streams(gan.seed, "summary", device=gan.device)("latent"), batch)
    real = gan.real_samples(batch)
    frozen = parameter_count(gan.discriminator)
    both = parameter_count(gan.generator) + frozen
    parts = [
        summarize("generator", gan.generator, lambda: gan.generator(*inputs.arguments)),
        summarize("discriminator", gan.discriminator, lambda: gan.discriminate(real.images, real.labels)),
        f"both together: {both:,} parameters, of which {frozen:,} frozen while the generator trains",
    ]
    return "\n\n".join(parts) + "\n"


def versions(trainer: L.Trainer) -> dict[str, Any]:
    """Versions of Python and packages, git commit, device and precision."""
    return {
        "command": sys.argv,
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "git": _git_commit(),
        "device": device_name(trainer),
        "precision": trainer.precision,
        "threads": torch.get_num_threads(),
    }


def warn_of_changes(then: dict[str, Any], now: dict[str, Any]) -> None:
    """Warn of changes since the start of the run, which may change the last bits of its results."""
    before, after = flatten(then), flatten(now)
    changed = [name for name in after if name != "command" and before.get(name) != after[name]]
    if changed:
        listed = ", ".join(f"{name} was {before.get(name)} and is {after[name]}" for name in changed)
        warn(f"results may differ in their last bits from an uninterrupted run: {listed}")


def device_name(trainer: L.Trainer) -> str:
    device = trainer.strategy.root_device
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"{device.type} ({platform.machine()})"


def _version(package: str) -> str | None:
    """None for one that no pip has installed, such as this one in a clone on the path."""
    with suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(package)
    return None


def _git_commit() -> str | None:
    """The git commit of this package, with "-dirty" after uncommitted changes; None outside a git repository."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
