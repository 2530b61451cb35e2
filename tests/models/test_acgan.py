"""The GAN whose discriminator names classes."""

import numpy
import torch

from gans.data.batches import Batch
from gans.models.acgan import ACGAN
from gans.randomness import Streams
from gans.update import ScoredBatch
from tests.training import gan_of, samples_of


def test_both_players_pay_cross_entropy_of_logits() -> None:
    """Softmax before cross-entropy (PyTorch-GAN#141) would not reach these values."""
    gan = gan_of("acgan")
    assert isinstance(gan, ACGAN)
    outputs = torch.tensor([[0.0, 10.0, *[-10.0] * 9], [0.0, -10.0, 10.0, *[-10.0] * 8]])
    samples = samples_of(torch.zeros(2, 1, 28, 28))
    batch = ScoredBatch(lambda *_: outputs, samples, samples.first(0), False, outputs)
    expected = [numpy.log(numpy.exp(values).sum()) - values[0] for values in outputs[:, 1:].double().numpy()]
    for terms in (gan.discriminator_terms(batch), gan.generator_terms(batch)):
        numpy.testing.assert_allclose(terms["class"].numpy(), expected, rtol=1e-5, atol=1e-6)
    assert gan.accuracies(batch)["class_accuracy"].tolist() == [1.0, 0.0]


def test_the_generator_pays_for_the_classes_of_its_fakes_alone() -> None:
    """An objective that compares pairs puts reals into its batch, too."""
    changes = {"model.discriminator_updates": "joint", "model.generator_batches": 1}
    gan = gan_of("acgan", objective="relativistic", changes=changes)
    images = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    batch = gan.generator_batch(Batch(images, torch.tensor([1, 2, 3])), Streams(0, "train", 0)).forward()
    assert len(batch.real.images) == 3
    logits = batch.outputs[:3, 1:]
    expected = logits.logsumexp(1) - logits.gather(1, batch.fake.labels[:, None])[:, 0]
    torch.testing.assert_close(gan.generator_terms(batch)["class"], expected)
