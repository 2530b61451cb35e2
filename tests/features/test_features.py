"""The feature networks that come with the package, and making others."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gans.config.build import build_data
from gans.errors import InputError
from gans.features import files
from gans.features.files import SHIPPED, load_features
from gans.features.training import accuracy, jitter
from gans.run.make_features import make_features
from tests.conftest import DATA_ROOT, composed, needs_mnist, run_config

SOURCES = sorted(path.stem for path in SHIPPED.glob("*.safetensors"))


@pytest.mark.parametrize("name", SOURCES)
def test_shipped_networks_are_small_and_what_their_cards_say(name: str) -> None:
    path = SHIPPED / f"{name}.safetensors"
    card = json.loads(path.with_suffix(".json").read_text())
    assert path.stat().st_size <= 1_000_000
    assert hashlib.sha256(path.read_bytes()).hexdigest() == card["sha256"]
    assert {"command", "training_images", "test_accuracy"} <= card.keys()


def test_the_digits_network_is_as_accurate_as_its_card_says() -> None:
    _check_accuracy("digits", at_least=0.99)


@needs_mnist
def test_the_mnist_network_is_as_accurate_as_its_card_says() -> None:
    _check_accuracy("mnist", at_least=0.995)


def _check_accuracy(source: str, at_least: float) -> None:
    root = [f"data.root={DATA_ROOT}"] if source == "mnist" else []
    data = build_data(run_config(f"data={source}", *root))
    features = load_features(source)
    found = accuracy(features.network, lambda images: features.network(images).logits, data.test_images)
    card = json.loads((SHIPPED / f"{features.name}.json").read_text())
    assert found == pytest.approx(card["test_accuracy"], abs=2 / len(data.test_images.labels))
    assert found >= at_least


def test_features_of_training_images_have_unit_scale() -> None:
    data = build_data(run_config("data=digits"))
    features = load_features("digits").extract(data.train_pool.content).features
    assert features.mean(0).abs().max() < 0.4
    assert features.var(0).mean() == pytest.approx(1, abs=0.25)


def test_an_altered_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(SHIPPED, tmp_path / "weights")
    monkeypatch.setattr(files, "SHIPPED", tmp_path / "weights")
    path = tmp_path / "weights" / "digits1.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="is damaged or altered"):
        load_features("digits")
    path.with_suffix(".json").unlink()
    with pytest.raises(InputError, match="can't read"):
        load_features("digits")


def test_a_source_without_a_network_is_told_how_to_make_one() -> None:
    with pytest.raises(InputError, match=r"python features.py data=kmnist.*metric=none"):
        load_features("kmnist")


@pytest.mark.slow  # in bfloat16, which many CPUs emulate
def test_making_one_and_using_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is made goes to the user's cache, and is found there."""
    monkeypatch.setenv("GANS_CACHE", str(tmp_path))
    config = composed("data=digits", "epochs=6", "learning_rate=1e-2", config_name="features")
    path = make_features(config)
    assert path == tmp_path / "features" / "digits1.safetensors"
    assert json.loads(path.with_suffix(".json").read_text())["test_accuracy"] > 0.7
    monkeypatch.setattr(files, "SHIPPED", tmp_path / "nothing")
    assert load_features("digits").sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@given(st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_jitter_keeps_range_and_ink(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    images = torch.zeros(50, 1, 28, 28)
    assert torch.equal(jitter(images, random), images)
    images[:, :, 8:20, 8:20] = 1  # far enough from the border to stay inside
    moved = jitter(images, random)
    assert moved.shape == images.shape
    assert moved.min() >= 0
    assert moved.max() <= 1 + 1e-6
    assert moved.sum((1, 2, 3)).mean() == pytest.approx(144, rel=0.15)  # areas change by the square of 0.9 to 1.1
    assert not torch.equal(moved, images)
