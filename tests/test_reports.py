"""Every number of the two reports that a config or a default holds, and every layer, in a table."""

from typing import Any

import pytest
from torch import nn

from gans.config.build import build_gan
from tests.conftest import composed

ADAM_DEFAULT = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-7}
ADAM_SMALL = {"lr": 2e-4, "betas": (0.5, 0.999), "eps": 1e-7}
GENERATORS = {
    "dcgan": "Linear Unflatten BatchNorm2d ConvTranspose2d SELU BatchNorm2d ImageConvTranspose2d Tanh",
    "acgan": "Embedding Linear Unflatten Linear ReLU Unflatten"
    + " ConvTranspose2d BatchNorm2d ReLU ImageConvTranspose2d Tanh",
    "autoencoder": "Flatten" + " Linear LeakyReLU Dropout" * 4 + " Linear LeakyReLU" + " Linear LeakyReLU Dropout" * 4
    + " Linear Sigmoid Unflatten",
}  # fmt: skip
DISCRIMINATORS = {
    "dcgan": "ImageConv2d LeakyReLU Dropout Conv2d LeakyReLU Dropout Flatten Linear",
    "acgan": "ImageConv2d LeakyReLU Dropout" + " Conv2d BatchNorm2d LeakyReLU Dropout" * 3 + " Flatten Linear",
    "autoencoder": "Flatten Linear LeakyReLU Linear LeakyReLU Linear",
}
GENERATORS["wgan"], DISCRIMINATORS["wgan"] = GENERATORS["dcgan"], DISCRIMINATORS["dcgan"]
DROPOUT = {"dcgan": (set(), {0.3}), "wgan": (set(), {0.3}), "acgan": (set(), {0.5}), "autoencoder": ({0.3}, set())}


def layers(network: nn.Module) -> list[nn.Module]:
    return [module for module in network.modules() if not list(module.children())]


def named(network: nn.Module) -> str:
    return " ".join(type(layer).__name__ for layer in layers(network))


@pytest.mark.parametrize("model", GENERATORS)
def test_layers_slopes_and_dropout(model: str) -> None:
    gan = build_gan(composed("data=digits", f"model={model}"))
    assert named(gan.generator) == GENERATORS[model]
    assert named(gan.discriminator) == DISCRIMINATORS[model]
    for network, rates in zip((gan.generator, gan.discriminator), DROPOUT[model], strict=True):
        assert {layer.p for layer in layers(network) if isinstance(layer, nn.Dropout)} == rates
        assert {layer.negative_slope for layer in layers(network) if isinstance(layer, nn.LeakyReLU)} <= {0.2}
        for norm in (layer for layer in layers(network) if isinstance(layer, nn.BatchNorm2d)):
            assert (norm.eps, norm.momentum) == (1e-3, 0.01)


@pytest.mark.parametrize(
    ("model", "adam", "batch", "updates", "generator_batches", "budget", "objective"),
    [
        ("dcgan", ADAM_DEFAULT, 32, "joint", 1, (50, None), "BinaryCrossEntropy"),
        ("wgan", ADAM_DEFAULT, 32, "joint", 1, (50, None), "Wasserstein"),
        ("acgan", ADAM_SMALL, 32, "alternating", 2, (50, None), "BinaryCrossEntropy"),
        ("autoencoder", ADAM_SMALL, 128, "joint", 1, (None, 5001), "MeanSquaredLogarithmicError"),
    ],
)
def test_settings_of_the_models(
    model: str, adam: dict[str, Any], batch: int, updates: str, generator_batches: int,
    budget: tuple[int | None, int | None], objective: str,
) -> None:  # fmt: skip
    config = composed("data=mnist", f"model={model}")
    settings, data, trainer = config["model"], config["data"], config["trainer"]
    assert (data["batch_size"], settings["discriminator_updates"]) == (batch, updates)
    assert settings["generator_batches"] == generator_batches
    assert settings["discriminator_fakes"] == "inference"
    assert (trainer["max_epochs"], trainer["max_steps"]) == budget
    assert (data["invert"], data["replacement"]) == ((True, True) if model == "autoencoder" else (False, False))
    assert config["objective"]["_target_"] == f"gans.objectives.{objective}"
    assert config["objective"].get("bounded") is (True if model == "wgan" else None)
    for optimizer in build_gan(composed("data=digits", f"model={model}")).configure_optimizers():
        assert {name: optimizer.defaults[name] for name in adam} | {"betas": tuple(optimizer.defaults["betas"])} == adam


def test_defaults_of_the_label_stabilizers() -> None:
    stabilize = composed("data=digits", "stabilize=[label_smoothing,noisy_labels]")["stabilize"]
    assert stabilize["label_smoothing"]["width"] == 0.1
    assert stabilize["noisy_labels"]["flip_probability"] == 0.05


@pytest.mark.parametrize(
    ("experiment", "epochs", "stabilizers", "digits"),
    [
        ("report_b_dcgan", [1, 6, 21, 41, 46], [], 10),
        ("report_b_dcgan_stabilized", [1, 6, 16, 50], ["label_smoothing", "noisy_labels"], 10),
        ("report_b_acgan", [10, 30, 50], [], 10),
        ("report_b_acgan_stabilized", [10, 30, 50], ["label_smoothing", "noisy_labels"], 10),
        ("report_b_wgan", [1, 11, 26, 46], [], 10),
        ("report_b_wgan_stabilized", [1, 16, 46], ["label_smoothing", "noisy_labels"], 10),
        ("report_a", [], [], 1),
        ("report_a_all", [], [], 10),
    ],
)
def test_settings_of_the_experiments(experiment: str, epochs: list[int], stabilizers: list[str], digits: int) -> None:
    config = composed(f"experiment={experiment}")
    assert config["samples"]["epochs"] == epochs
    assert list(config["stabilize"]) == stabilizers
    assert len(config["data"]["digits"]) == digits
    assert config["trainer"]["max_steps" if experiment.startswith("report_a") else "max_epochs"] in (5001, 50)
    if experiment == "report_a":
        assert config["data"]["digits"] == [8]
