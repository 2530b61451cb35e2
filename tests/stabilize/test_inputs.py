"""Stabilizers of what the discriminator sees."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from gans.errors import InputError
from gans.randomness import Streams
from gans.stabilize import Stabilizer
from gans.stabilize.inputs import (
    AUGMENTATIONS,
    AdaptiveAugmentation,
    DiffAugment,
    InstanceNoise,
    brightness,
    contrast,
    cutout,
    translation,
)
from tests.training import gan_of, points_gan, scored_batch, small_config


def stream() -> Streams:
    return Streams(0, "train")


def images_of(count: int = 8) -> Tensor:
    return torch.randn(count, 1, 4, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def test_instance_noise_has_its_deviation_and_fades() -> None:
    noise, images = InstanceNoise(0.2, steps=100), torch.zeros(2000, 1, 4, 4)
    for step, deviation in ((0, 0.2), (50, 0.1), (75, 0.05)):
        seen = noise.transform_inputs(images, Streams(0, "train", step))
        assert seen.std().item() == pytest.approx(deviation, rel=0.02)
        assert seen.mean().item() == pytest.approx(0, abs=0.01)
    for step in (100, 5000):
        assert torch.equal(noise.transform_inputs(images, Streams(0, "train", step)), images)
    stays = InstanceNoise(0.2, steps=None).transform_inputs(images, Streams(0, "train", 5000))
    assert stays.std().item() == pytest.approx(0.2, rel=0.02)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_augmentations_are_differentiable_and_treat_each_image_by_itself(name: str) -> None:
    images = torch.rand(5, 2, 8, 12, dtype=torch.float64)

    def same_draw(images: Tensor) -> Tensor:
        return AUGMENTATIONS[name](images, torch.Generator().manual_seed(3))

    assert torch.autograd.gradcheck(same_draw, images.clone().requires_grad_())
    seen = same_draw(images)
    assert seen.shape == images.shape
    changed = images.clone()
    changed[2] += 1
    others = [0, 1, 3, 4]
    torch.testing.assert_close(same_draw(changed)[others], seen[others])
    alike = same_draw(images[:1].expand(5, -1, -1, -1))
    assert not all(torch.allclose(alike[0], alike[index]) for index in range(1, 5))


@pytest.mark.parametrize("augment", [brightness, contrast])
def test_brightness_and_contrast_leave_the_expectation(augment: Callable[..., Tensor]) -> None:
    image = torch.rand(1, 1, 6, 6)
    seen = augment(image.expand(60_000, -1, -1, -1), torch.Generator().manual_seed(0))
    torch.testing.assert_close(seen.mean(0), image[0], atol=0.01, rtol=0)
    assert seen.std(0).mean() > 0.03


@pytest.mark.parametrize(("size", "most"), [(16, 2), (20, 3), (28, 4), (4, 1)])
def test_translation_moves_whole_images_by_up_to_an_eighth(size: int, most: int) -> None:
    """Rounded, with halves up, as in DiffAugment's code."""
    middle = size // 2
    image = torch.zeros(1, 1, size, size)
    image[0, 0, middle - 1, middle] = 1
    seen = translation(image.expand(3000, -1, -1, -1), torch.Generator().manual_seed(0))
    assert torch.equal(seen.sum((1, 2, 3)), torch.ones(3000))
    places = seen.nonzero()[:, 2:]
    assert places.min(0).values.tolist() == [middle - 1 - most, middle - most]
    assert places.max(0).values.tolist() == [middle - 1 + most, middle + most]


def test_cutout_removes_a_square_of_half_the_size_or_its_part_inside() -> None:
    seen = cutout(torch.ones(3000, 1, 8, 8), torch.Generator().manual_seed(0))
    removed = (seen == 0).sum((1, 2, 3))
    assert removed.max() == 16
    assert removed.min() == 4  # about a corner
    assert (seen[0, 0] == 0).any(0).sum() in (2, 3, 4)


@pytest.mark.parametrize("kind", [DiffAugment, AdaptiveAugmentation])
def test_all_augmentations_of_a_policy_are_made_in_its_order(kind: Callable[[], Stabilizer]) -> None:
    augment, images = kind(), images_of()
    if isinstance(augment, AdaptiveAugmentation):
        augment.probability.fill_(1)
    random = stream()("diff_augment" if isinstance(augment, DiffAugment) else "adaptive_augmentation")
    expected = images
    for each in (brightness, contrast, translation, cutout):
        if isinstance(augment, AdaptiveAugmentation):
            torch.rand((8, 1, 1, 1), generator=random)  # which images: all
        expected = each(expected, random)
    assert torch.equal(augment.transform_inputs(images, stream()), expected)


@pytest.mark.parametrize("name", ["diff_augment", "adaptive_augmentation"])
def test_images_in_0_to_1_are_augmented_as_those_in_minus_1_to_1(name: str) -> None:
    wide, narrow = (gan_of(model, stabilizers=[name]).stabilizers for model in ("dcgan", "autoencoder"))
    for stabilizers in (wide, narrow):
        for augment in stabilizers:
            if isinstance(augment, AdaptiveAugmentation):
                augment.probability.fill_(0.7)
    images = images_of().clamp(-1, 1)
    augmented = narrow.transform_inputs((images + 1) / 2, stream())
    expected = (wide.transform_inputs(images, stream()) + 1) / 2
    torch.testing.assert_close(augmented, expected, rtol=0, atol=1e-6)
    assert not torch.allclose(augmented, (images + 1) / 2)


def test_an_augmentation_that_does_not_exist_is_refused() -> None:
    policy = {"_target_": "gans.stabilize.inputs.DiffAugment", "policy": ["blur"]}
    with pytest.raises(InputError, match=r"diff_augment.policy\[0\]=blur: "):
        small_config("model=dcgan", {"stabilize": {"diff_augment": policy}})


def test_members_of_a_pack_are_augmented_each_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    brightness_alone = {"stabilize.diff_augment.policy": ["brightness"]}
    gan = gan_of("dcgan", stabilizers=["packing", "diff_augment"], changes=brightness_alone)
    monkeypatch.setattr(gan, "discriminate", lambda images, _: images.mean((2, 3)))
    shifts = gan.score(stream())(torch.zeros(50, 2, 28, 28), torch.zeros(50))
    assert (shifts[:, 0] - shifts[:, 1]).abs().min() > 0


# --- adaptive augmentation --------------------------------------------------------------------------------------------


def test_adaptive_augmentation_does_nothing_at_0_and_augments_all_at_1() -> None:
    augment, images = AdaptiveAugmentation(policy=["brightness"]), torch.zeros(500, 1, 4, 4)
    assert torch.equal(augment.transform_inputs(images, stream()), images)
    augment.probability.fill_(1)
    assert bool((augment.transform_inputs(images, stream()) != 0).all())
    augment.probability.fill_(0.3)
    changed = (augment.transform_inputs(images, stream()) != 0).flatten(1)
    assert bool((changed.all(1) == changed.any(1)).all())
    assert changed[:, 0].float().mean().item() == pytest.approx(0.3, abs=0.08)


@pytest.mark.parametrize("updates", ["joint", "alternating"])
def test_its_probability_follows_the_verdicts_on_reals(updates: str) -> None:
    gan, ada = points_gan(), AdaptiveAugmentation()

    def after(share: float, steps: int) -> float:
        """Of 10 real samples, that share is taken for real; the fakes don't count."""
        reals = torch.where(torch.arange(10) < 10 * share, 1.0, -1.0)
        whole = scored_batch(torch.ones(10), real=reals)
        batches = [whole] if updates == "joint" else [whole.only_real().forward(), whole.only_fake().forward()]
        for _ in range(steps):
            ada.after_discriminator(gan, batches)
            gan.training_steps += 1
        return ada.probability.item()

    rise = ada.interval * 10 / ada.ramp
    assert after(0.9, 3) == 0  # r_t = 0.8 > 0.6, once the interval is over
    assert after(0.9, 1) == pytest.approx(rise)
    assert after(0.9, 8) == pytest.approx(3 * rise)
    assert after(0.7, 4) == pytest.approx(2 * rise)  # r_t = 0.4
    assert after(0.0, 40) == 0
