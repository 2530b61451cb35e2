"""Stabilizers that give the discriminator several samples at once, so that it can detect mode collapse."""

from copy import deepcopy
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from gans.errors import InputError
from gans.stabilize.base import StabilizedGAN, Stabilizer
from gans.stabilize.layers import first_layer, last_layer


class Packing(Stabilizer):
    """The discriminator gives one score to ``samples`` samples, all real or all fake (Lin et al. 2018, section 3).

    They are joined along the channels, so a batch of n samples becomes n / ``samples`` packs. The authors' batch size
    counts packs: ``data.batch_size`` is ``samples`` times theirs. Only the discriminator's first layer changes: it
    takes ``samples`` times as many channels, with new weights N(0, v / ``samples``), v the variance of the old weights.
    Default: PacGAN2.
    """

    def __init__(self, samples: Annotated[int, Field(ge=2)] = 2) -> None:
        super().__init__()
        self.samples = samples

    @property
    def pack_size(self) -> int:
        return self.samples

    def rebuild(self, gan: StabilizedGAN) -> None:
        if gan.generator.takes_classes:
            raise InputError(
                "stabilize.packing scores samples of several classes as one, so the discriminator cannot tell their "
                "classes: use a model without classes, such as model=dcgan"
            )
        name, layer = first_layer(gan, "packing")
        gan.discriminator.set_submodule(name, wider(layer, self.samples))


def wider(layer: nn.Linear | nn.Conv2d, times: int) -> nn.Linear | nn.Conv2d:
    """A layer with ``times`` as many input channels and the same variance of outputs."""
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
    """The discriminator's last layer gets the batch's variation as one more feature (Karras et al. 2018, section 3).

    The feature is the standard deviation of each feature over the batch, averaged over the features: one number, the
    same for each sample. Reals and fakes pass the discriminator separately, so that it describes one kind. The paper
    adds a channel before the last convolution; a feature of the last layer suits any discriminator. Gradient penalties
    are allowed, as in Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN", although each score
    depends on the whole batch.
    """

    def rebuild(self, gan: StabilizedGAN) -> None:
        name, layer = last_layer(gan, "minibatch_deviation")
        gan.discriminator.set_submodule(name, WithDeviation(layer))
        gan.separate_forward = True


class WithDeviation(nn.Module):
    """A linear layer with one more input: the mean deviation of its features (n, f) over the batch.

    The initial weights of that input are N(0, v), v the variance of the layer's weights.
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
        # 1e-8, because the root's gradient is infinite at 0
        deviation = (features.float().var(0, correction=0) + 1e-8).sqrt().mean().to(features.dtype)
        return self.layer(torch.cat((features, deviation.expand(len(features), 1)), 1))
