"""Samples of points, with the discriminator's landscape around them."""

from collections.abc import Sequence

import lightning as L
import torch
from torch import Tensor

from gans.gan import GAN
from gans.run.callbacks.samples import Samples
from gans.update import NO_CLASS

SIDE = 41
"""Of the lattice that the landscape is recorded on, in points."""


class Landscape(Samples):
    """Also records, for each moment, ``lattice`` (m, dimensions), and there the discriminator's ``scores`` (m,), higher
    where it sees more of real data, and their ``gradients`` (m, dimensions): the way samples are drawn."""

    def further(self, gan: GAN) -> dict[str, Tensor]:
        line = torch.linspace(-1, 1, SIDE, device=gan.device) * self.data.extent
        dimensions = self.data.test_images.positions.shape[1]
        lattice = torch.cartesian_prod(*[line] * dimensions).reshape(-1, dimensions)
        held_out = self.data.test_images.positions.to(gan.device)
        rows = torch.arange(len(lattice))
        beside = [held_out[(rows + number) % len(held_out)] for number in range(1, gan.stabilizers.pack_size)]
        scores, gradients = landscape(gan, lattice, beside)
        return {"lattice": lattice.cpu(), "scores": scores.cpu(), "gradients": gradients.cpu()}

    def show(self, trainer: L.Trainer, images: Tensor, step: int) -> None:
        """Nothing: points make no picture for TensorBoard; see the figures."""


def landscape(gan: GAN, points: Tensor, beside: Sequence[Tensor] = ()) -> tuple[Tensor, Tensor]:
    """The discriminator's scores of points (n, dimensions) and their gradients, in inference mode; higher is more real.

    Args:
        points: float32, on the GAN's device.
        beside: real points, (n, dimensions) each, that fill up the packs of a discriminator which judges packs.
    """
    low, high = gan.objective.predicts_real(torch.tensor([-1e3, 1e3])).tolist()
    way = float(high) - float(low)  # a Wasserstein critic scores reals low
    was_training = gan.discriminator.training
    gan.discriminator.eval()
    with torch.inference_mode(False), torch.enable_grad(), torch.autocast(points.device.type, enabled=False):
        places = points.clone().requires_grad_()
        labels = torch.full((len(points),), NO_CLASS, device=points.device)
        scores = way * gan.discriminate(torch.cat((places, *beside), 1), labels)[:, 0].float()
        (gradients,) = torch.autograd.grad(scores.sum(), places)
    gan.discriminator.train(was_training)
    return scores.detach(), gradients
