"""A training step never waits for its device: counted on the CPU, where waiting costs nothing but is the same call."""

from collections import Counter
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from typing_extensions import override

from gans.data.batches import Batch
from gans.gan import GAN
from gans.models.layers import bits
from tests.conftest import names
from tests.test_gan import train
from tests.test_matrix import batches, gan_of, own, refusal

READS = {"_local_scalar_dense", "is_nonzero", "item", "equal", "nonzero", "masked_select", "unique_dim", "_unique2"}
"""Operations whose result, or its shape, the host must know to go on."""


class Reads(TorchDispatchMode):
    """Counts what makes the host wait."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    @override
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        by_mask = name in ("index", "index_put_") and any(
            index is not None and index.dtype == torch.bool for index in args[1]
        )
        if name in READS or by_mask:
            self.found[name] += 1
        return func(*args, **(kwargs or {}))


def reads_of_a_step(gan: GAN, model: str, monkeypatch: pytest.MonkeyPatch, every: int) -> Counter[str]:
    reads, training_step = Reads(), GAN.training_step
    bits.cache_clear()  # as in a process's first step

    def watched(self: GAN, batch: Batch, batch_index: int) -> None:
        self.watch.every = every
        with reads:
            training_step(self, batch, batch_index)

    with monkeypatch.context() as patch:
        patch.setattr(GAN, "training_step", watched)
        train(gan, batches(model))
    return reads.found


@pytest.mark.parametrize("model", names("model"))
def test_no_step_of_any_model_waits(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    gan = gan_of(model, own(model), ["none"])
    assert reads_of_a_step(gan, model, monkeypatch, every=1000) == {}


@pytest.mark.parametrize("stabilizer", names("stabilize"))
def test_no_step_with_any_stabilizer_waits(stabilizer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = "dcgan" if not refusal("dcgan", "bce", [stabilizer]) else "mlp"
    gan = gan_of(model, "bce", [stabilizer])
    assert reads_of_a_step(gan, model, monkeypatch, every=1000) == {}


def test_a_look_at_the_verdict_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    gan = gan_of("autoencoder", "msle", ["none"])
    assert reads_of_a_step(gan, "autoencoder", monkeypatch, every=1) == {"_local_scalar_dense": 4}
