"""Stabilizers that let the discriminator judge several samples at once, to see that they lack variety."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from gans.errors import InputError
from gans.stabilize.base import Stabilizer
from gans.stabilize.layers import first_layer, last_layer, replace

if TYPE_CHECKING:
    from gans.gan import GAN


class Packing(Stabilizer):
    """The discriminator judges packs of ``samples``, all real or all fake, as one (Lin et al. 2018, PacGAN, section 3).

    A pack is joined along the channels, so that a batch of n samples is n / ``samples`` packs; the authors count packs
    in a batch, so that their batch size times ``samples`` is ``data.batch_size``. As there, only the
    discriminator's first layer changes: it takes so many times as many channels, its weights N(0, v / ``samples``) with
    v the variance of the weights that it had. Default: PacGAN2.
    """

    def __init__(self, samples: Annotated[int, Field(ge=2)] = 2) -> None:
        super().__init__()
        self.samples = samples

    @property
    def pack_size(self) -> int:
        return self.samples

    def rebuild(self, gan: GAN) -> None:
        if gan.generator.takes_classes:
            raise InputError(
                "stabilize.packing judges samples of several classes as one, so that nothing could be said of any of "
                "them: use a model that is not asked for classes, such as model=dcgan"
            )
        name, layer = first_layer(gan, "packing")
        replace(gan.discriminator, name, wider(layer, self.samples))


def wider(layer: nn.Linear | nn.Conv2d, times: int) -> nn.Linear | nn.Conv2d:
    """A layer that takes so many times as many channels, with outputs of the same size."""
    wide = deepcopy(layer)
    outputs, inputs, *kernel = layer.weight.shape
    deviation = layer.weight.detach().std() / times**0.5
    wide.weight = nn.Parameter(deviation * torch.randn(outputs, times * inputs, *kernel))
    if isinstance(wide, nn.Linear):
        wide.in_features *= times
    else:
        wide.in_channels *= times
    return wide


class MinibatchDeviation(Stabilizer):
    """The discriminator's last layer also sees how much the batch varies (Karras et al. 2018, section 3).

    That is the standard deviation of each feature over the batch, averaged over the features: one number, the same for
    each sample. Reals and fakes pass the discriminator apart, so that it is of one kind. Theirs is a channel before the
    last convolution; here it is one more feature for the last layer, which any discriminator has. It may go with
    gradient penalties, as in Karras et al. 2020, although it makes a score depend on the whole batch.
    """

    def rebuild(self, gan: GAN) -> None:
        name, layer = last_layer(gan, "minibatch_deviation")
        replace(gan.discriminator, name, WithDeviation(layer))
        gan.separate_forward = True


class WithDeviation(nn.Module):
    """Features (n, f) -> what the layer makes of them and of their mean deviation over the batch.

    The weights for it begin as N(0, v), v the variance of the layer's own.
    """

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.layer = nn.Linear(layer.in_features + 1, layer.out_features, layer.bias is not None)
        nn.init.normal_(self.layer.weight, 0.0, layer.weight.detach().std().item())
        with torch.no_grad():
            self.layer.weight[:, :-1] = layer.weight
            if layer.bias is not None:
                self.layer.bias.copy_(layer.bias)

    def forward(self, features: Tensor) -> Tensor:
        # not the root itself: its slope is infinite where samples are equal
        deviation = (features.float().var(0, correction=0) + 1e-8).sqrt().mean().to(features.dtype)
        return self.layer(torch.cat((features, deviation.expand(len(features), 1)), 1))
