"""What it costs to judge 10,000 generated images against 10,000 real ones, features included.

    python benchmarks/metrics.py data=mnist

Takes the overrides of train.py. Jittered training images stand for generated ones: what the images show makes no
difference to the cost. The metrics' memory is the growth of the process's peak.
"""

import resource
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from hydra import compose, initialize_config_dir

from gans.config.build import build_data, build_each
from gans.config.resolve import resolve
from gans.config.validate import validate
from gans.data.batches import Dataset
from gans.features.files import load_features
from gans.features.training import jitter
from gans.metrics.base import EvaluationData, Metric, SampleFeatures

COUNT = 10_000
BAR = ("fid", "kid", "precision_recall")
CONF = Path(__file__).resolve().parent.parent / "conf"


def main(overrides: list[str]) -> None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = validate(resolve(compose("config", overrides=overrides)))
    data = build_data(config)
    features = load_features(data.source)
    metrics: dict[str, Metric] = build_each(config.metric, "metric")
    real, training = enough(data.test_images), data.train_images
    images = enough(training).to_batch().images
    fake = jitter(images, torch.Generator().manual_seed(0)).mul(255).round().to(torch.uint8)
    peak_before = peak()
    print(f"{COUNT:,} images of each kind, {len(training.labels):,} training images, {torch.get_num_threads()} threads")

    def sample(images: Dataset) -> SampleFeatures:
        return SampleFeatures(*images, *features.extract(images.content))

    real_sample, seconds_real = timed(lambda: sample(real))
    fake_sample, seconds_fake = timed(lambda: sample(Dataset(fake, enough(training).labels)))
    print(f"{'features of both kinds':24} {seconds_real + seconds_fake:7.2f} s")
    training_sample, seconds = timed(lambda: sample(training))
    print(f"{'features, training images':24} {seconds:7.2f} s")
    evidence = EvaluationData(
        real=real_sample,
        fake=fake_sample,
        classes=data.classes,
        training=lambda: training_sample,
        more=lambda count: training.select(torch.arange(count) % len(training.labels)),
        source_size=len(training.labels),
        conditional=True,
        answers=real.content,
    )
    total = seconds_real + seconds_fake
    asked = {name: metric for name, metric in metrics.items() if metric.applies(evidence)}
    for name, metric in sorted(asked.items(), key=lambda item: item[0] not in BAR):
        _, seconds = timed(partial(metric.compute, evidence))
        total += seconds if name in BAR else 0
        print(f"{name:24} {seconds:7.2f} s   peak memory so far +{peak() - peak_before:5.2f} GiB")
        if name == BAR[-1]:
            print(f"{'together':24} {total:7.2f} s   features, {', '.join(BAR)}; whole process {peak():.2f} GiB")


def enough(images: Dataset) -> Dataset:
    """COUNT images, with repetition where there are fewer."""
    return images.select(torch.arange(COUNT) % len(images.labels))


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    start = perf_counter()
    result = work()
    return result, perf_counter() - start


def peak() -> float:
    """The process's peak memory, GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    main(sys.argv[1:])
