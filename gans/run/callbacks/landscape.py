"""Samples of points, with the discriminator's scores around them."""

from collections.abc import Sequence

import lightning as L
import torch
from torch import Tensor

from gans.gan import GAN
from gans.run.callbacks.samples import Samples
from gans.update import NO_CLASS

SIDE = 41
"""The number of lattice points along each dimension."""


class Landscape(Samples):
    """Also records a ``lattice`` (m, dimensions), and the discriminator's ``scores`` (m,) there, higher for more real,
    with their ``gradients`` (m, dimensions); of points in more than two dimensions nothing, as the
    lattice would be too large.
    """

    def extra_arrays(self, gan: GAN) -> dict[str, Tensor]:
        dimensions = self.data.test_images.content.shape[1]
        if dimensions > 2:
            return {}
        line = torch.linspace(-1, 1, SIDE, device=gan.device) * self.data.extent
        lattice = torch.cartesian_prod(*[line] * dimensions).reshape(-1, dimensions)
        held_out = self.data.test_images.content.to(gan.device)
        rows = torch.arange(len(lattice))
        others = [held_out[(rows + number) % len(held_out)] for number in range(1, gan.stabilizers.pack_size)]
        scores, gradients = landscape(gan, lattice, others)
        return {"lattice": lattice.cpu(), "scores": scores.cpu(), "gradients": gradients.cpu()}

    def log_images(self, trainer: L.Trainer, images: Tensor, step: int) -> None:
        """Logs nothing: points are not images."""


def landscape(gan: GAN, points: Tensor, others: Sequence[Tensor] = ()) -> tuple[Tensor, Tensor]:
    """The discriminator's scores (n,), higher for more real, and their gradients (n, dimensions), in inference mode.

    Args:
        points: float32, shape (n, dimensions), on the GAN's device.
        others: the other points of each pack, if the discriminator takes packs; (n, dimensions) each.
    """
    was_training = gan.discriminator.training
    gan.discriminator.eval()
    with torch.inference_mode(False), torch.enable_grad(), torch.autocast(points.device.type, enabled=False):
        inputs = points.clone().requires_grad_()
        labels = torch.full((len(points),), NO_CLASS, device=points.device)
        scores = gan.objective.sign_of_real * gan.discriminate(torch.cat((inputs, *others), 1), labels)[:, 0].float()
        (gradients,) = torch.autograd.grad(scores.sum(), inputs)
    gan.discriminator.train(was_training)
    return scores.detach(), gradients
