"""Sources of a user's own: classes are as many as they say, and what can't be evaluated is refused before training."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from gans.config.build import build_evaluator, build_run
from gans.errors import InputError
from gans.features.files import load_features, network_name, save_features
from gans.features.network import FeatureNetwork
from gans.files import cache_folder
from gans.generator import Generator
from gans.metrics.name import MetricName
from gans.run.test_results import read_results
from tests.configs import names, narrow, run_config
from tests.data.own import Colours, noise, own
from tests.data.test_images import data_of
from tests.run.runs import start


class ColourGenerator(Generator):
    """Latents (n, latent_size) -> images (n, 3, 32, 32) in (-1, 1)."""

    pixel_range = (-1.0, 1.0)

    def __init__(self, latent_size: int) -> None:
        super().__init__()
        self.latent_size = latent_size
        self.layers = nn.Sequential(nn.Linear(latent_size, 3 * 32 * 32), nn.Tanh(), nn.Unflatten(1, (3, 32, 32)))

    def forward(self, latents: Tensor) -> Tensor:
        return self.layers(latents)


class ColourDiscriminator(nn.Sequential):
    def __init__(self, dropout: float) -> None:
        layers = nn.Conv2d(3, 4, 4, stride=4), nn.LeakyReLU(0.2), nn.Flatten(), nn.Dropout(dropout), nn.Linear(256, 1)
        super().__init__(*layers)


COLOURED = (
    f"model.generator._target_={__name__}.ColourGenerator",
    f"model.discriminator._target_={__name__}.ColourDiscriminator",
    *(f"~model.{name}.{option}" for name in ("generator", "discriminator") for option in ("width", "size", "channels")),
)


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network for the letters in a cache of its own, untrained: what it knows does not matter here."""
    monkeypatch.setenv("GANS_CACHE", str(tmp_path / "cache"))
    data = data_of(*own("Letters"))
    card = {"data_sha256": data.data_sha256, "classes": data.class_names, "test_accuracy": 1.0}
    torch.manual_seed(0)
    folder, name = cache_folder() / "features", network_name(data.source, data.data_sha256)
    save_features(FeatureNetwork(len(data.class_names)), name, folder, card)


METRICS = [name for name in names("metric") if name != "none"]


@pytest.mark.usefixtures("trained")
@pytest.mark.slow
@pytest.mark.parametrize("model", ["acgan", "projection"])
def test_twelve_classes_reach_models_metrics_and_figures(model: str, tmp_path: Path) -> None:
    run = start(
        tmp_path, *own("Letters"), f"model={model}", *narrow(f"model={model}"), f"metric=[{','.join(METRICS)}]",
        "data.batch_size=32",
        "metric.synthetic_accuracy.images=200", "metric.synthetic_accuracy.epochs=1", "evaluated_images=120",
        "trainer.max_steps=2", "samples.count=24", "figure=[data_set,modes]",
    )  # fmt: skip
    values = read_results(run.test_results_file).checkpoints["last"].results
    figures = {parsed.figure for name in values if (parsed := MetricName.parse(name))}
    assert {"class_share_11", "synthetic_accuracy", "modes", "fid", "class_agreement", "copying"} <= figures
    assert set(run.grids[-1].labels.tolist()) == set(range(12))
    assert run.class_names == dict(enumerate("ABCDEFGHIJKL"))
    assert run.validation_name("fid") is None or "my_letters281-" in str(run.validation_name("fid"))


@pytest.mark.parametrize("model", ["autoencoder", "stacked_dcgan", "stacked_small", "mlp", "dirac"])
def test_a_model_that_does_not_fit_is_refused_before_training(model: str) -> None:
    with pytest.raises(InputError, match=r"use another model|data=colours") as error:
        build_run(run_config(f"model={model}", *own("Colours"), "metric=none"))
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_images_of_any_shape_train_without_metrics(tmp_path: Path) -> None:
    run = start(
        tmp_path, *own("Colours"), "model=dcgan", "metric=none", *COLOURED, "data.batch_size=32", "trainer.max_steps=2",
        "samples.count=24", "figure=[data_set,grids,curves]",
    )  # fmt: skip
    assert run.grids[-1].images.shape == (24, 32, 32, 3)
    assert run.class_names[11] == "colour 11"


def test_a_network_that_does_not_know_the_classes_is_refused() -> None:
    """Also one that the data bring along."""
    data = data_of(*own("Letters"))
    data.feature_extractor = load_features("digits")
    with pytest.raises(InputError, match=r"10 classes.*class 11"):
        build_evaluator(run_config(*own("Letters"), "metric=fid"), data)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": torch.full((240,), 12)}, "from 0 to 11"),
        ({"labels": torch.full((240,), -1)}, "from 0 to 11"),
        ({"labels": torch.zeros(240)}, "int64"),
        ({"labels": torch.zeros(239).long()}, "labels"),
        ({"content": torch.zeros(240, 1, 28, 28)}, "uint8"),
        ({"content": torch.zeros(240, 28, 28, dtype=torch.uint8)}, "channels, height, width"),
        ({"content": torch.zeros(0, 1, 28, 28, dtype=torch.uint8), "labels": torch.zeros(0).long()}, "no training"),
    ],
)
def test_what_a_source_reads_wrongly_is_named(
    change: dict[str, Tensor], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = noise(240, 1, 28)._replace(**change)
    monkeypatch.setattr(Colours, "read", lambda _: (train, noise(120, 1, 28)))
    with pytest.raises(InputError, match=f"data=colours.*{message}") as error:
        data_of(*own("Colours"))
    assert "\n" not in str(error.value)


def test_classes_that_a_source_does_not_have_are_refused() -> None:
    with pytest.raises(InputError, match=r"data.classes.*\[12\].*0 to 11"):
        data_of(*own("Colours", classes=13))
