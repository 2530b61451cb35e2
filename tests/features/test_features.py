"""The feature networks that come with the package, and making others."""

import hashlib
import json
import shlex
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from gans.config.build import build_data, build_each, build_evaluator, features_command, make_evaluator
from gans.data.batches import Dataset
from gans.data.source import Source
from gans.errors import InputError
from gans.features import files
from gans.features.files import (
    SHIPPED,
    TrainedFeatureNetwork,
    find_features,
    load_features,
    network_name,
    save_features,
)
from gans.features.learn import Recipe, require_useful
from gans.features.network import FeatureNetwork, Shape
from gans.features.none import NoFeatures
from gans.features.provide import provide_features
from gans.features.training import accuracy, jitter
from gans.files import cache_folder
from gans.metrics.name import MetricName
from gans.run.make_features import make_features
from tests.configs import DATA_ROOT, composed, needs_mnist, run_config
from tests.data.own import own
from tests.data.test_images import data_of


def found(data: Source) -> TrainedFeatureNetwork:
    features = find_features(data)
    assert features
    return features


SOURCES = sorted(path.stem for path in SHIPPED.glob("*.safetensors"))


@pytest.mark.parametrize("name", SOURCES)
def test_shipped_networks_are_small_and_what_their_cards_say(name: str) -> None:
    path = SHIPPED / f"{name}.safetensors"
    card = json.loads(path.with_suffix(".json").read_text())
    assert card["file"] == path.name
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


def test_the_digest_of_data_is_of_their_content_in_little_endian() -> None:
    data = Dataset(torch.arange(8, dtype=torch.uint8).reshape(2, 1, 2, 2), torch.tensor([1, 258]))
    content = b"|u1 (2, 1, 2, 2)" + bytes(range(8)) + b"<i8 (2,)" + bytes([1, *[0] * 7, 2, 1, *[0] * 6])
    assert data.sha256() == hashlib.sha256(content).hexdigest()
    assert data.select(torch.tensor([1, 0])).sha256() != data.sha256()


@pytest.mark.parametrize(
    "options",
    [
        ["data.classes=[8,3]", "seed=3", "data.invert=true"],
        ["data.limit=200", "data.label_noise=0.5", "data.replacement=true", "model=acgan"],
        ["data.val_size=100", "data.split_seed=4"],
    ],
)
def test_all_runs_on_a_source_share_its_network(options: list[str]) -> None:
    plain, data = (build_data(run_config("data=digits", *each)) for each in ([], options))
    assert plain.data_sha256 == data.data_sha256
    assert found(data).name == "digits1"


def test_stacked_digits_use_the_network_of_the_digits() -> None:
    stacked = build_data(run_config("model=stacked_small", "data=stacked_digits", "data.train_size=200"))
    assert found(stacked).name == "digits1"


@needs_mnist
def test_the_mnist_network_is_of_mnist() -> None:
    data = build_data(run_config("data=mnist", f"data.root={DATA_ROOT}"))
    assert found(data).name == "mnist1"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GANS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "features"


def save_for(data: Source, seed: int = 0, **changes: Any) -> Path:
    """Save an untrained network of these data in the user's cache; returns its card."""
    card: dict[str, Any] = {"data_sha256": data.data_sha256, "classes": data.class_names, "test_accuracy": 1.0}
    card |= changes
    torch.manual_seed(seed)
    network = FeatureNetwork(len(card["classes"]))
    return save_features(network, network_name(data.source, data.data_sha256), cache_folder() / "features", card)


@pytest.mark.usefixtures("cache")
def test_a_network_judges_no_other_images_than_its_own() -> None:
    """Of a source of the same name."""
    letters, turned, relabelled = (
        data_of(*own("Letters"), *options) for options in ([], ["+data.path=turned"], ["+data.shuffled=true"])
    )
    known = save_for(letters)
    assert found(letters).name == known.stem
    assert MetricName.parse(f"fid_397_{known.stem}") == MetricName("fid", 397, known.stem)
    for data in (turned, relabelled):
        assert network_name(data.source, data.data_sha256) != known.stem
        assert find_features(data) is None


@pytest.mark.usefixtures("cache")
def test_the_name_alone_is_no_proof() -> None:
    data = data_of(*own("Letters"))
    save_for(data, data_sha256=data.data_sha256[:8] + "0" * 56)
    with pytest.raises(InputError, match=r"other images.*delete"):
        find_features(data)


def test_the_command_of_a_refusal_can_be_typed() -> None:
    options = {"_target_": "any", "root": "/my data/it's", "batch_size": 3, "classes": [1], "train_size": 9}
    data = build_data(run_config("data=digits"))
    words = shlex.split(features_command(options, data))
    values = [override.value() for override in OverridesParser.create().parse_overrides(words[2:])]
    assert Path(words[1]).name == "features.py"
    assert values == ["digits", "/my data/it's", 9]


DAMAGE = {
    "card": ["{}", "[]", "", "{", "null", '{"file": 3}', "\x00", '{"file": "../../etc.safetensors", "sha256": "0"}'],
    "weights": ["", "{}", "\x00\x00"],
}


@pytest.mark.parametrize(("part", "content"), [(part, text) for part, texts in DAMAGE.items() for text in texts])
@pytest.mark.parametrize("shipped", [True, False])
def test_a_damaged_file_is_named(
    part: str, content: str, shipped: bool, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shipped:
        shutil.copytree(SHIPPED, tmp_path / "weights")
        monkeypatch.setattr(files, "SHIPPED", tmp_path / "weights")
        data, card = build_data(run_config("data=digits")), tmp_path / "weights" / "digits1.json"
    else:
        data = data_of(*own("Letters"))
        card = save_for(data)
        assert card.parent == cache
    path = card if part == "card" else card.with_name(json.loads(card.read_text())["file"])
    for lost in [False] if part == "card" else [False, True]:
        path.write_text(content)
        if lost:
            path.unlink()
        with pytest.raises(InputError, match=r"install .* again" if shipped else "train it again") as error:
            find_features(data)
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)


def test_weights_that_do_not_fit_their_card_are_named(cache: Path) -> None:
    data = data_of(*own("Letters"))
    card = save_for(data)
    for content in (b"no safetensors", save({"other": torch.zeros(3)})):
        told = json.loads(card.read_text())
        (cache / told["file"]).write_bytes(content)
        card.write_text(json.dumps(told | {"sha256": hashlib.sha256(content).hexdigest()}))
        with pytest.raises(InputError, match="no feature network of this version"):
            find_features(data)


def test_saving_again_replaces_both_files_at_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = data_of(*own("Letters"))
    save_for(data, seed=1)
    before = found(data).sha256

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("gans.features.files.write_json", fail)
        with pytest.raises(OSError, match="space"):
            save_for(data, seed=2)
    assert found(data).sha256 == before
    save_for(data, seed=2)
    assert found(data).sha256 != before
    assert len(list(cache.iterdir())) == 2


@pytest.mark.slow
def test_a_network_is_trained_when_it_is_first_needed(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And then kept; where nothing can be kept, it is trained all the same."""
    monkeypatch.setattr("gans.features.learn.EPOCHS", 1)
    monkeypatch.setattr("gans.features.learn.LEAST_STEPS", 1)
    monkeypatch.setattr("gans.features.learn.require_useful", lambda *_: None)
    data = data_of(*own("Letters"), "data.limit=300", "data.invert=true")
    assert find_features(data) is None
    monkeypatch.setenv("GANS_CACHE", "/proc/nothing")
    unkept = provide_features(data, "")
    monkeypatch.setenv("GANS_CACHE", str(cache.parent))
    first = provide_features(data, "")
    assert json.loads((cache / f"{first.name}.json").read_text())["training_images"] == len(data.train_pool.labels) + 60
    monkeypatch.setattr("gans.features.provide.learn_features", None)
    again = provide_features(data, "")
    assert unkept.sha256 == first.sha256 == again.sha256


@pytest.mark.usefixtures("cache")
def test_a_network_that_knows_too_little_stops_the_run_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gans.features.learn.EPOCHS", 1)
    monkeypatch.setattr("gans.features.learn.LEAST_STEPS", 1)
    data = data_of(*own("Letters"), "+data.path=turned")
    with pytest.raises(InputError, match=r"too little.*features\.py.* data=my_letters_28.* data\.path=turned"):
        build_evaluator(run_config(*own("Letters"), "+data.path=turned", "metric=fid"), data)
    assert find_features(data) is None


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (3, 64, 64), (1, 8, 8), (3, 11, 30)])
def test_networks_describe_images_of_any_shape(shape: Shape) -> None:
    features = TrainedFeatureNetwork("any1", "", FeatureNetwork(12, shape).eval())
    extracted = features.extract(torch.randint(256, (5, *shape), dtype=torch.uint8))
    assert extracted.features.shape == (5, 64)
    assert extracted.logits.shape == (5, 12)


@pytest.mark.parametrize("channels", [1, 3])
def test_images_without_classes_are_described_by_inception(channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here with random weights: the published ones take a download."""
    monkeypatch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
    monkeypatch.setattr("torch_fidelity.feature_extractor_inceptionv3.load_state_dict_from_url", lambda *_, **__: {})
    data = data_of(*own("Unlabelled", classes=1), f"data.channels={channels}")
    features = provide_features(data, "")
    extracted = features.extract(data.test_images.content[:3])
    assert features.name == "inceptionv3"
    assert extracted.features.shape == (3, 2048)
    assert not torch.equal(extracted.features[0], extracted.features[1])


def test_where_inception_can_not_be_had_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: Any, **__: Any) -> None:
        raise OSError("Network is unreachable")

    monkeypatch.setattr("torch_fidelity.feature_extractor_inceptionv3.load_state_dict_from_url", offline)
    with pytest.raises(InputError, match=r"unreachable.*metric=none") as error:
        provide_features(data_of(*own("Unlabelled", classes=1)), "")
    assert "\n" not in str(error.value)


# --- making one -------------------------------------------------------------------------------------------------------


def make(*options: str) -> Path:
    return make_features(composed(*options, config_name="features"))


@pytest.mark.slow  # in bfloat16, which many CPUs emulate
def test_making_one_and_using_it(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is made goes to the user's cache, and is found there."""
    monkeypatch.setattr(files, "SHIPPED", cache / "nothing")
    path = make("data=digits", "epochs=6", "learning_rate=1e-2")
    data = build_data(run_config("data=digits"))
    assert path == cache / f"digits1-{data.data_sha256[:8]}.json"
    card = json.loads(path.read_text())
    assert card["test_accuracy"] > 0.7
    assert found(data).sha256 == card["sha256"]


@pytest.mark.usefixtures("cache")
def test_what_comes_with_the_package_is_not_made_unasked() -> None:
    with pytest.raises(InputError, match="output="):
        make("data=digits")


@pytest.mark.slow  # in bfloat16, which many CPUs emulate
def test_one_with_weights_that_are_not_finite_is_not_saved(cache: Path) -> None:
    with pytest.raises(InputError, match=r"learning_rate=1e\+30: use a smaller one"):
        make(*own("Letters")[:-1], "epochs=1", "learning_rate=1e30", "least_accuracy=0")
    assert not cache.parent.exists()


def test_none_is_needed_for_metrics_that_too_few_images_leave_out() -> None:
    data = build_data(run_config("data=digits"))
    metrics, node = (
        build_each(run_config("data=digits", "metric=[fid]").metric, "metric"),
        composed("data=digits")["data"],
    )
    for images, needed in ((24, False), (70, True)):
        evaluator = make_evaluator(metrics, node, data, images)
        assert evaluator is not None
        assert isinstance(evaluator.features, NoFeatures) != needed


def untrained(_: Dataset, classes: int, shape: Shape, recipe: Recipe) -> FeatureNetwork:
    torch.manual_seed(recipe.seed)
    return FeatureNetwork(classes, shape).eval()


def test_one_that_knows_too_little_is_not_saved_unasked(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gans.features.learn.train_features", untrained)
    letters = own("Letters")[:-1]
    with pytest.raises(InputError, match="least_accuracy") as error:
        make(*letters)
    assert "\n" not in str(error.value)
    assert not cache.parent.exists()
    card = json.loads(make(*letters, "least_accuracy=0").read_text())
    assert card["test_accuracy"] < 0.5
    assert found(data_of(*own("Letters"))).sha256 == card["sha256"]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=50), st.floats(0, 1))
def test_a_useful_one_makes_at_most_half_of_the_errors_of_naming_one_class(labels: list[int], accuracy: float) -> None:
    test = Dataset(torch.empty(0), torch.tensor(labels))
    errors = 1 - Counter(labels).most_common(1)[0][1] / len(labels)
    try:
        require_useful(accuracy, test, None)
    except InputError:
        assert 1 - accuracy > errors / 2 - 1e-9
    else:
        assert 1 - accuracy < errors / 2 + 1e-9


def test_a_place_that_cannot_be_written_is_refused_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("trained")

    monkeypatch.setattr("gans.features.learn.train_features", refuse)
    (tmp_path / "file").touch()
    for place in (tmp_path / "file" / "inside", Path("/proc/features")):
        with pytest.raises(InputError, match=str(place)):
            make("data=digits", f"output={place}")
    with pytest.raises(AssertionError, match="trained"):
        make("data=digits", f"output={tmp_path}/new/folder")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


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
