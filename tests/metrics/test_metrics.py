"""Metrics: known answers, laws, and agreement with reference implementations, on real handwritten digits."""

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any, cast

import numpy
import pytest
import scipy.linalg
import torch
import torch_fidelity
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils import data as torch_data
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torchvision.transforms.functional import gaussian_blur

from gans.config.build import build_data, build_each
from gans.data.batches import Dataset
from gans.data.images import ImageData
from gans.errors import InputError
from gans.features.files import TrainedFeatureNetwork, load_features
from gans.features.network import FEATURES
from gans.metrics import neighbours
from gans.metrics.base import EvaluationData, Metric, SampleFeatures
from gans.metrics.class_agreement import ClassAgreement
from gans.metrics.class_histogram import ClassHistogram
from gans.metrics.class_kept import ClassKept
from gans.metrics.density_coverage import DensityCoverage
from gans.metrics.fid import FID
from gans.metrics.inception_score import InceptionScore
from gans.metrics.kid import KID
from gans.metrics.manifold import blocks
from gans.metrics.mode_count import ModeCount
from gans.metrics.neighbours import Neighbours, nearest
from gans.metrics.precision_recall import PrecisionRecall
from gans.metrics.reconstruction import Reconstruction, reconstruction_errors
from gans.metrics.synthetic_accuracy import SyntheticAccuracy, accuracy_of_training_on
from tests.configs import run_config

DataOf = Callable[..., EvaluationData]


@pytest.fixture(scope="module")
def data() -> ImageData:
    return cast("ImageData", build_data(run_config("data=digits")))


@pytest.fixture(scope="module")
def features() -> TrainedFeatureNetwork:
    return load_features("digits")


@pytest.fixture(scope="module")
def data_of(data: ImageData, features: TrainedFeatureNetwork) -> DataOf:
    """(images in the place of generated ones) -> evaluation_data against the held-out digits."""

    def sample(images: Dataset) -> SampleFeatures:
        return SampleFeatures(*images, *features.extract(images.content))

    real, training = sample(data.test_images), sample(data.train_images)

    def gather(fake: Dataset, **further: Any) -> EvaluationData:
        return EvaluationData(
            real=real,
            fake=sample(fake),
            classes=data.classes,
            training=lambda: training,
            more=lambda count: fake.select(torch.arange(count) % len(fake.labels)),
            source_size=1400,
            conditional=True,
            **further,
        )

    return gather


def some(images: Dataset, count: int) -> Dataset:
    return images.select(torch.randperm(len(images.labels), generator=torch.Generator().manual_seed(0))[:count])


def synthetic(features: Tensor, logits: Tensor | None = None, labels: Tensor | None = None) -> SampleFeatures:
    """A sample of which only the features, logits or labels matter."""
    count = len(features)
    return SampleFeatures(
        torch.zeros(count, 1, 28, 28, dtype=torch.uint8),
        torch.zeros(count, dtype=torch.int64) if labels is None else labels,
        features,
        torch.zeros(count, 10) if logits is None else logits,
    )


def between(real: SampleFeatures, fake: SampleFeatures, training: SampleFeatures | None = None) -> EvaluationData:
    return EvaluationData(
        real=real, fake=fake, classes=list(range(10)), training=lambda: training or real, more=NotImplemented,
        source_size=0, conditional=True,
    )  # fmt: skip


def gaussian(count: int, shift: float = 0.0, scale: float = 1.0, seed: int = 0) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return shift + scale * torch.randn(count, FEATURES, generator=random)


# --- known answers ---------------------------------------------------------------------------------------------------


def test_identical_sets_are_perfect(data: ImageData, data_of: DataOf) -> None:
    evaluation_data = data_of(data.test_images)
    values: dict[str, float] = {}
    for metric in (FID(), PrecisionRecall(), DensityCoverage(), KID(), ClassAgreement()):
        values |= metric.compute(evaluation_data)
    assert values["fid"] == pytest.approx(0, abs=1e-6)
    assert (values["precision"], values["recall"], values["coverage"]) == (1, 1, 1)
    assert values["density"] >= 1
    assert values["class_agreement"] > 0.99


def test_fid_of_shifted_and_scaled_gaussians() -> None:
    first = gaussian(5000).double()
    first = (first - first.mean(0)) @ torch.linalg.inv(torch.linalg.cholesky(first.T.cov())).T  # exactly N(0, I)
    shifted = between(synthetic(first), synthetic(first + 0.5))
    assert FID().compute(shifted)["fid"] == pytest.approx(FEATURES * 0.25, rel=1e-6)
    scaled = between(synthetic(first), synthetic(2 * first))
    assert FID().compute(scaled)["fid"] == pytest.approx(FEATURES * (2 - 1) ** 2, rel=1e-6)


def test_fid_against_scipys_matrix_square_root() -> None:
    mixing = gaussian(FEATURES, seed=1)
    real, fake = gaussian(500, seed=2).double(), (gaussian(500, 0.3, 1.5, seed=3) @ mixing).double()
    means, covariances = zip(*((each.mean(0).numpy(), numpy.cov(each.numpy().T)) for each in (real, fake)), strict=True)
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    expected = numpy.square(means[0] - means[1]).sum() + numpy.trace(covariances[0] + covariances[1] - 2 * root)
    assert FID().compute(between(synthetic(real), synthetic(fake)))["fid"] == pytest.approx(expected, rel=1e-6)


def test_kid_is_unbiased_and_its_error_is_one() -> None:
    """Over many pairs of equal distributions, KID is 0 within its standard error, which is that of its mean."""
    found = [
        KID(subset=50).compute(between(synthetic(gaussian(500, seed=2 * i)), synthetic(gaussian(500, seed=2 * i + 1))))
        for i in range(60)
    ]
    values, errors = (numpy.array([each[name] for each in found]) for name in ("kid", "kid_error"))
    assert abs(values.mean()) < 4 * values.std() / len(values) ** 0.5
    assert numpy.sqrt((errors**2).mean()) == pytest.approx(values.std(), rel=0.4)


def test_kid_of_images_in_clusters_is_unbiased() -> None:
    """Real images have classes, so that images of equal rank are alike: no subset may pair them."""
    centres = 8 * gaussian(10, seed=1000)
    random = torch.Generator().manual_seed(0)

    def images(seed: int) -> SampleFeatures:
        return synthetic(centres[torch.randint(10, (100,), generator=random)] + gaussian(100, seed=seed))

    found = [KID(subset=10).compute(between(images(2 * i), images(2 * i + 1))) for i in range(60)]
    values = numpy.array([each["kid"] for each in found])
    assert abs(values.mean()) < 4 * values.std() / len(values) ** 0.5


def test_neighbours_are_shown_in_the_colours_of_the_run() -> None:
    images = synthetic(gaussian(30))._replace(images=torch.full((30, 1, 28, 28), 9, dtype=torch.uint8))
    for inverted, colour in ((False, 9), (True, 246)):
        shown = Neighbours().artifacts(replace(between(images, images), inverted=inverted))
        assert {*shown["images"].unique().tolist(), *shown["neighbours"].unique().tolist()} == {colour}


def test_metrics_of_classes_need_classes_that_are_known() -> None:
    """Of images without classes the features' own classes say nothing."""
    images = synthetic(gaussian(30))
    known = replace(between(images, images), answers=images.images, source_size=30)
    for metric in (ClassAgreement(), ClassKept(), SyntheticAccuracy(), ClassHistogram()):
        assert metric.applies(known)
        assert not metric.applies(replace(known, classes_are_known=False))


def test_inception_score_between_one_and_the_number_of_classes() -> None:
    classes = torch.arange(1000) % 10
    certain = 100 * torch.nn.functional.one_hot(classes, 10).float()
    every, single = synthetic(gaussian(1000), certain), synthetic(gaussian(1000), certain[:1].expand(1000, 10))
    assert InceptionScore().compute(between(every, every))["inception_score"] == pytest.approx(10)
    assert InceptionScore().compute(between(every, single))["inception_score"] == pytest.approx(1)
    half = torch.where(classes[:, None] < 5, certain, torch.zeros(10))  # half of them undecided: p(y) known
    marginal = numpy.full(10, 0.05)
    marginal[:5] += 0.1
    entropy = float(-(marginal * numpy.log(marginal)).sum())
    expected = numpy.exp(entropy - 0.5 * numpy.log(10))
    assert InceptionScore().compute(between(every, synthetic(gaussian(1000), half)))[
        "inception_score"
    ] == pytest.approx(expected)


def test_class_histogram_against_the_sum() -> None:
    def logits(counts: list[int]) -> Tensor:
        return torch.nn.functional.one_hot(torch.repeat_interleave(torch.arange(10), torch.tensor(counts)), 10).float()

    real, fake = [9] * 10, [50, 30, 20, 0, 0, 0, 0, 0, 0, 0]
    evaluation_data = between(synthetic(gaussian(90), logits(real)), synthetic(gaussian(100), logits(fake)))
    values = ClassHistogram().compute(evaluation_data)
    expected = sum(p * numpy.log(p / 0.1) for p in (0.5, 0.3, 0.2))
    assert values["class_kl"] == pytest.approx(expected)
    assert [values[f"class_share_{c}"] for c in range(4)] == pytest.approx([0.5, 0.3, 0.2, 0])
    assert ModeCount().compute(evaluation_data) == {
        "modes": 3,
        "mode_kl": pytest.approx(expected),
    }  # here, real ones are even


def test_no_image_of_the_classes_is_as_bad_as_one_class_only() -> None:
    """Of a run on the classes 3 and 8: all images are 3s, or all are 1s, which is neither."""
    sample = synthetic(gaussian(50), torch.nn.functional.one_hot(torch.full((50,), 3), 10).float())
    other = synthetic(gaussian(50), torch.nn.functional.one_hot(torch.full((50,), 1), 10).float())
    of_one, of_none = (ModeCount().compute(replace(between(sample, fake), classes=[3, 8])) for fake in (sample, other))
    assert of_one == {"modes": 1, "mode_kl": pytest.approx(math.log(2))}
    assert of_none == {"modes": 0, "mode_kl": pytest.approx(math.log(2))}


def test_distances_of_points_are_exact() -> None:
    """The formula by a matrix product would be off by the size of a mode."""
    points = 30 + 1e-3 * torch.rand(500, 2, generator=torch.Generator().manual_seed(0))
    (found,) = blocks(points, points)
    exact = torch.linalg.vector_norm(points[:, None] - points, dim=2)
    torch.testing.assert_close(found, exact, rtol=1e-4, atol=0)


def test_density_and_coverage_of_points_on_a_line() -> None:
    line = torch.zeros(21, FEATURES)
    line[:, 0] = torch.arange(21)
    real = synthetic(line)
    far, middle = synthetic(line + 100), synthetic(line[10:11].expand(3, -1))
    assert DensityCoverage().compute(between(real, far)) == {"density": 0, "coverage": 0}
    # balls reach the fifth neighbour: 3 to each side in the middle, so 10 is inside those of 7 to 13; 5 at the ends
    assert DensityCoverage().compute(between(real, middle)) == pytest.approx({"density": 7 / 5, "coverage": 7 / 21})


@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(1, 40))
@settings(max_examples=20, deadline=None)
def test_nearest_neighbours_against_all_pairs(seed: int, rows: int, others: int) -> None:
    first, second = gaussian(rows, seed=seed), gaussian(others, seed=seed + 1)
    distances = numpy.linalg.norm(first.numpy()[:, None] - second.numpy()[None], axis=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "ROWS", 7)
        patch.setattr(neighbours, "OTHERS", 9)
        found, indices = nearest(first, second)
    assert found.numpy() == pytest.approx(distances.min(1), rel=1e-4)
    assert indices.tolist() == distances.argmin(1).tolist()


def test_reconstruction_errors_of_known_images() -> None:
    black, white = torch.zeros(2, 1, 28, 28), torch.ones(2, 1, 28, 28)
    errors = reconstruction_errors(black, white)
    assert errors["mse"].tolist() == [1, 1]
    exact = reconstruction_errors(white, white)
    assert exact["mse"].tolist() == [0, 0]
    assert exact["ssim"].tolist() == pytest.approx([1, 1])
    grey = reconstruction_errors(0.5 * white, white)
    luminance = (2 * 0.5 + 1e-4) / (0.25 + 1 + 1e-4)  # SSIM of constant images is its luminance term; C1 = 0.01²
    assert grey["ssim"].tolist() == pytest.approx([luminance] * 2, rel=1e-4)


# --- what they must tell apart ---------------------------------------------------------------------------------------


def test_a_collapsed_sampler_is_precise_but_recalls_little(data: ImageData, data_of: DataOf) -> None:
    one = data.train_images.select(data.train_images.labels == 3)
    evaluation_data = data_of(one.select(torch.arange(397) % 3))  # three images of a three, over and over
    values = PrecisionRecall().compute(evaluation_data) | DensityCoverage().compute(evaluation_data)
    values |= ModeCount().compute(evaluation_data) | ClassHistogram().compute(evaluation_data)
    honest = PrecisionRecall().compute(data_of(some(data.train_images, 397)))
    assert values["precision"] > 0.6
    assert values["recall"] < 0.05
    assert honest["recall"] > 0.7
    assert values["coverage"] < 0.1
    assert values["modes"] == 1
    assert values["class_kl"] > numpy.log(5)


def test_a_sampler_that_repeats_training_images_is_caught(data: ImageData, data_of: DataOf) -> None:
    repeated = Neighbours().compute(data_of(some(data.train_images, 397)))
    fresh = Neighbours().compute(data_of(data.val_images))  # never trained on
    assert repeated["copying"] > 0.99
    assert repeated["neighbour_distance"] < 1e-2
    assert fresh["copying"] == pytest.approx(0.5, abs=0.08)
    shown = Neighbours().artifacts(data_of(some(data.train_images, 397)))
    assert torch.equal(shown["images"], shown["neighbours"])


def test_blur_raises_fid_step_by_step(data: ImageData, data_of: DataOf) -> None:
    images = some(data.train_images, 397)
    values = [FID().compute(data_of(images))["fid"]]
    for deviation in (0.8, 1.2, 1.6, 2.0, 2.5, 3.0):
        blurred = gaussian_blur(images.content.float(), [15, 15], [deviation, deviation]).round().to(torch.uint8)
        values.append(FID().compute(data_of(Dataset(blurred, images.labels)))["fid"])
    assert all(less < more for less, more in pairwise(values)), values


def test_class_agreement_counts_what_was_asked_for(data: ImageData, data_of: DataOf) -> None:
    images = data.test_images
    asked = torch.where(torch.arange(397) < 100, (images.labels + 1) % 10, images.labels)  # 100 wrong ones
    value = ClassAgreement().compute(data_of(Dataset(images.content, asked)))["class_agreement"]
    assert value == pytest.approx(297 / 397, abs=0.01)


@pytest.mark.slow
def test_synthetic_accuracy_is_high_for_real_and_at_chance_for_shuffled_classes(data: ImageData) -> None:
    images = data.train_pool
    assert accuracy_of_training_on(images, data.test_images, epochs=5, classes=10) > 0.9
    shuffled = Dataset(images.content, images.labels[torch.randperm(len(images.labels))])
    assert accuracy_of_training_on(shuffled, data.test_images, epochs=2, classes=10) < 0.3


def test_synthetic_accuracy_names_the_number_of_its_images(data: ImageData, data_of: DataOf) -> None:
    evaluation_data = data_of(data.train_images)
    assert SyntheticAccuracy(images=60_000).image_count(evaluation_data) == 1400  # no more than the source has
    assert SyntheticAccuracy(images=500).image_count(evaluation_data) == 500


@pytest.mark.parametrize("count", [24, 50, 64, 70])
def test_synthetic_accuracy_trains_on_few_images(data: ImageData, count: int) -> None:
    few = data.train_pool.select(slice(count))
    assert 0 <= accuracy_of_training_on(few, data.test_images, epochs=1, classes=10) <= 1


def test_synthetic_accuracy_is_left_out_where_images_are_too_few(data: ImageData, data_of: DataOf) -> None:
    evaluation_data = replace(data_of(data.train_images), conditional=True)
    assert SyntheticAccuracy().applies(replace(evaluation_data, source_size=24))
    assert not SyntheticAccuracy().applies(replace(evaluation_data, source_size=23))


@pytest.mark.parametrize("side", range(1, 12))
def test_metrics_of_pixels_are_of_images_that_are_large_enough(side: int) -> None:
    def images(count: int) -> SampleFeatures:
        pixels = torch.randint(256, (count, 1, side, side), dtype=torch.uint8)
        return SampleFeatures(pixels, torch.arange(count) % 2, torch.zeros(count, 1), torch.zeros(count, 2))

    given = between(images(30), images(30))
    given = replace(given, answers=images(30).images, source_size=30, more=lambda count: Dataset(*images(count)[:2]))
    metrics = (SyntheticAccuracy(epochs=1), Reconstruction())
    assert [metric.applies(given) for metric in metrics] == [side >= 8, side >= 6]
    for metric in metrics:
        if metric.applies(given):
            assert all(map(math.isfinite, metric.compute(given).values()))


def test_the_full_protocol_is_the_published_one_and_the_short_one_a_small_part_of_it() -> None:
    full, short = (SyntheticAccuracy(protocol) for protocol in ("full", "short"))
    assert short.epochs is not None
    assert (full.images, full.epochs) == (60_000, 10)
    assert vars(SyntheticAccuracy()) == vars(short)
    assert short.images * short.epochs < 60_000 * 10 / 50
    assert run_config("experiment=conditional").metric["synthetic_accuracy"]["protocol"] == "full"
    with pytest.raises(InputError, match="protocol=full"):
        build_each(
            run_config("metric.synthetic_accuracy.protocol=full", "metric.synthetic_accuracy.epochs=2").metric, "metric"
        )


# --- laws ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def all_metrics() -> dict[str, Metric]:
    return build_each(run_config("data=digits", "metric.synthetic_accuracy.epochs=1").metric, "metric")


def test_metrics_do_not_depend_on_the_order_of_images(
    data: ImageData, data_of: DataOf, all_metrics: dict[str, Metric]
) -> None:
    fake = some(data.train_images, 397)
    order = torch.randperm(397, generator=torch.Generator().manual_seed(5))
    evaluation_data = data_of(fake, answers=data.test_images.content)

    def shuffled(sample: SampleFeatures) -> SampleFeatures:
        return SampleFeatures(*(field[order] for field in sample))

    other = replace(
        evaluation_data,
        real=shuffled(evaluation_data.real),
        fake=shuffled(evaluation_data.fake),
        answers=data.test_images.content[order],
    )
    for name, metric in all_metrics.items():
        if name == "synthetic_accuracy":
            continue  # it draws its images itself
        found = metric.compute(evaluation_data)
        assert {*metric.values} <= {*found}, name
        assert metric.compute(other) == pytest.approx(found, rel=1e-5, abs=1e-6), name


def test_descriptions_do_not_depend_on_batches(data: ImageData, features: TrainedFeatureNetwork) -> None:
    pixels = data.test_images.content[:100]
    whole = features.extract(pixels)
    parts = [features.extract(part) for part in pixels.split(7)]
    assert torch.allclose(whole.features, torch.cat([part.features for part in parts]), atol=1e-4)
    assert torch.allclose(whole.logits, torch.cat([part.logits for part in parts]), atol=1e-3)


def test_each_metric_file_has_an_option_and_a_documented_name(all_metrics: dict[str, Metric]) -> None:
    for name, metric in all_metrics.items():
        assert type(metric).__module__ == f"gans.metrics.{name}"
        assert metric.values, name
        assert all(f"``{value}``" in (type(metric).__doc__ or "") for value in metric.values), name


# --- against torch-fidelity ------------------------------------------------------------------------------------------


class Pixels(torch_data.Dataset):
    def __init__(self, pixels: Tensor) -> None:
        self.content = pixels

    def __len__(self) -> int:
        return len(self.content)

    def __getitem__(self, index: int) -> Tensor:
        return self.content[index]


class Extractor(FeatureExtractorBase):
    """This project's digit features, for torch-fidelity."""

    def __init__(self, name: str, features_list: list[str], **_: Any) -> None:
        super().__init__(name, features_list)
        self.features = load_features("digits")

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        return ("features", "logits")

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        return "logits" if metric == "isc" else "features"

    @staticmethod
    def can_be_compiled() -> bool:
        return False

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        description = self.features.extract(pixels)
        return tuple(getattr(description, name) for name in self.features_list)


def test_agreement_with_torch_fidelity(data: ImageData, data_of: DataOf) -> None:
    fake = some(data.train_images, 397)
    blurred = gaussian_blur(fake.content.float(), [5, 5], [1.0, 1.0]).round().to(torch.uint8)
    evaluation_data = data_of(Dataset(blurred, fake.labels))
    torch_fidelity.register_feature_extractor("gans-digits", Extractor)
    reference = torch_fidelity.calculate_metrics(
        input1=Pixels(blurred), input2=Pixels(data.test_images.content), feature_extractor="gans-digits", cuda=False,
        isc=True, fid=True, kid=True, prc=True, isc_splits=1, kid_subset_size=39, kid_subsets=300, verbose=False,
        cache=False, save_cpu_ram=True,
    )  # fmt: skip
    values = (
        FID().compute(evaluation_data)
        | PrecisionRecall().compute(evaluation_data)
        | InceptionScore().compute(evaluation_data)
    )
    assert values["fid"] == pytest.approx(reference["frechet_inception_distance"], rel=1e-3)
    assert values["precision"] == pytest.approx(reference["precision"], abs=1e-6)
    assert values["recall"] == pytest.approx(reference["recall"], abs=1e-6)
    assert values["inception_score"] == pytest.approx(reference["inception_score_mean"], rel=1e-4)
    kid = KID().compute(evaluation_data)
    spread = reference["kernel_inception_distance_std"] / 10**0.5
    assert kid["kid"] == pytest.approx(reference["kernel_inception_distance_mean"], abs=4 * spread)
    assert kid["kid_error"] == pytest.approx(spread, rel=0.8)


def test_reconstruction_is_measured_in_the_colours_of_the_run(data: ImageData, data_of: DataOf) -> None:
    fake, answers = some(data.train_images, 397), data.test_images.content
    plain, inverted = (
        Reconstruction().compute(data_of(fake, answers=answers, inverted=inverted)) for inverted in (False, True)
    )
    negatives = reconstruction_errors(1 - fake.content / 255, 1 - answers / 255)
    assert inverted["ssim"] == pytest.approx(negatives["ssim"].mean().item(), rel=1e-6)
    assert inverted["mse"] == pytest.approx(plain["mse"], rel=1e-5)
    assert abs(inverted["ssim"] - plain["ssim"]) > 0.02


def test_reconstruction_means_per_class_make_up_the_whole(data: ImageData, data_of: DataOf) -> None:
    fake = some(data.train_images, 397)
    values = Reconstruction().compute(data_of(fake, answers=data.test_images.content))
    counts = fake.labels.bincount()
    for quantity in ("mse", "ssim"):
        weighted = sum(values[f"{quantity}_of_{label}"] * int(count) for label, count in enumerate(counts)) / 397
        assert values[quantity] == pytest.approx(weighted, rel=1e-5)
