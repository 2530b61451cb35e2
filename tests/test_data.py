"""Data: disjoint sets, filters, order, and answers to files that are not what they should be."""

import gzip
import hashlib
import shutil
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import lightning as L
import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from torch import Tensor

from gans.config.build import build_data, validate
from gans.data.batches import Images, SequentialLoader, ShuffledLoader
from gans.data.images import ImageData
from gans.data.mnist import SHA256
from gans.errors import InputError
from gans.features.files import load_features
from gans.run.make_features import make_features
from gans.metrics.evaluator import Evaluator
from gans.metrics.neighbours import Neighbours
from gans.metrics.synthetic_accuracy import SyntheticAccuracy
from gans.config.schema import recipe_of
from tests.conftest import DATA_ROOT, composed, needs_mnist


def data_of(*overrides: str) -> ImageData:
    config = composed(*overrides)
    validate(config)
    return build_data(config)


def rows(images: Images) -> list[bytes]:
    return [bytes(pixels.numpy()) for pixels in images.pixels]


SOURCES = ["digits", pytest.param("mnist", marks=needs_mnist)]


@pytest.mark.parametrize("source", SOURCES)
def test_the_three_sets_are_disjoint_parts_of_the_source(source: str) -> None:
    data = data_of(f"data={source}")
    counts = [len(images.labels) for images in data.subsets.values()]
    assert counts == {"digits": [1200, 200, 397], "mnist": [55_000, 5_000, 10_000]}[source]
    train, val, test = (set(rows(images)) for images in data.subsets.values())
    everything = rows(data.train_images) + rows(data.val_images) + rows(data.test_images)
    repeated = len(everything) - len(set(everything))  # images that the source itself holds twice
    assert len(train & val) + len(train & test) + len(val & test) <= repeated
    assert repeated <= {"digits": 5, "mnist": 0}[source]


@pytest.mark.parametrize("source", SOURCES)
def test_pixels_use_the_whole_range_white_on_black(source: str) -> None:
    batch = data_of(f"data={source}").val_images.to_batch()
    assert batch.images.shape[1:] == (1, 28, 28)
    assert batch.images.dtype == torch.float32
    assert batch.images.min() == 0
    assert batch.images.max() == 1
    assert batch.images[:, :, :2, :2].mean() < 0.1


def test_invert_is_one_minus_x() -> None:
    plain, inverted = data_of("data=digits"), data_of("data=digits", "data.invert=true")
    for name in plain.subsets:
        first, second = (data.subsets[name].to_batch().images for data in (plain, inverted))
        torch.testing.assert_close(second, 1 - first)


def test_digits_are_filtered_and_labels_are_indices_into_them() -> None:
    everything, some = data_of("data=digits"), data_of("data=digits", "data.digits=[8,3]")
    for name in ("train", "val", "test"):
        labels = everything.subsets[name].labels
        assert some.subsets[name].labels.bincount().tolist() == [(labels == 8).sum(), (labels == 3).sum()]
    eights = some.train_images.pixels[some.train_images.labels == 0]
    assert torch.equal(eights, everything.train_images.pixels[everything.train_images.labels == 8])


def test_the_split_does_not_depend_on_the_runs_seed() -> None:
    first, second, other = (data_of("data=digits", *extra) for extra in (["seed=0"], ["seed=5"], ["data.split_seed=1"]))
    assert torch.equal(first.val_images.pixels, second.val_images.pixels)
    assert not torch.equal(first.val_images.pixels, other.val_images.pixels)
    assert torch.equal(first.test_images.pixels, other.test_images.pixels)


def test_limit_keeps_classes_in_proportion() -> None:
    whole, limited = data_of("data=digits").train_images, data_of("data=digits", "data.limit=300").train_images
    share = whole.labels.bincount() * 300 / len(whole.labels)
    assert len(limited.labels) == 300
    assert ((limited.labels.bincount() - share).abs() <= 1).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 1000), st.booleans())
def test_an_epoch_is_one_pass_in_an_order_of_its_own(count: int, size: int, seed: int, replacement: bool) -> None:
    size = min(size, count)
    images = Images(torch.arange(count, dtype=torch.uint8)[:, None], torch.arange(count))
    batches = ShuffledLoader(images, size, seed, replacement=replacement)
    epochs = [[batch.labels for batch in batches] for _ in range(2)]
    for epoch in epochs:
        assert [len(labels) for labels in epoch] == [size] * (count // size)
        if not replacement:
            assert len(torch.cat(epoch).unique()) == len(epoch) * size
    if count > 20 and count // size * size > 20:
        assert not torch.equal(torch.cat(epochs[0]), torch.cat(epochs[1]))


@given(st.integers(0, 11))
def test_a_restored_loader_goes_on_where_it_was(position: int) -> None:
    images = Images(torch.zeros(30, 1, dtype=torch.uint8), torch.arange(30))
    whole = ShuffledLoader(images, 5, seed=3)
    batches = [batch.labels for _ in range(2) for batch in whole]
    stopped = ShuffledLoader(images, 5, seed=3)
    seen: list[torch.Tensor] = []
    for batch in (batch for _ in range(2) for batch in stopped):
        if len(seen) == position:
            break
        seen.append(batch.labels)
        state = stopped.state_dict()
    restored = ShuffledLoader(images, 5, seed=3)
    if seen:
        restored.load_state_dict(state)
    rest = [batch.labels for batch in restored]
    expected = batches[position : position + len(rest)]
    assert len(rest) > 0
    assert all(torch.equal(first, second) for first, second in zip(rest, expected, strict=True))


@pytest.mark.parametrize("source", ["digits", "ring", "stacked_digits"])
def test_batches_are_picked_on_the_device_that_trains(source: str) -> None:
    """PyTorch's meta device has shapes and no values: whatever is copied to or from it in between fails."""
    data = build_data(composed(f"data={source}", "data.batch_size=20"))
    usual = next(iter(data.train_batches))
    data.train_batches.move_to(torch.device("cpu"))
    assert data.train_batches.images.content is data.as_trained().content, "on the host nothing is copied"
    data.train_batches = ShuffledLoader(data.as_trained(), 20, data.seed)
    data.trainer = cast("L.Trainer", SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device("meta"))))
    batch = next(iter(data.train_dataloader()))
    assert [(each.device.type, each.shape) for each in batch] == [("meta", each.shape) for each in usual]


def test_held_out_batches_are_every_image_once_in_order() -> None:
    images = Images(torch.zeros(7, 1, dtype=torch.uint8), torch.arange(7))
    batches = SequentialLoader(images, 3)
    assert [batch.labels.tolist() for batch in batches] == [[0, 1, 2], [3, 4, 5], [6]]
    assert len(batches) == 3


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.digits=[11]", "less than or equal to 9"),
        ("data.digits=[]", "at least 1 item"),
        ("data.digits=[8,8]", "twice"),
        ("data.limit=0", "greater than 0"),
        ("data.limit=4", "between 10"),
        ("data.label_noise=-0.1", "greater than or equal to 0"),
        ("data.label_noise=1.1", "less than or equal to 1"),
        ("data.label_noise=some", "valid number"),
        ("data.val_size=-1", "greater than or equal to 0"),
        ("data.val_size=1400", "val_size=1400"),
        ("data.batch_size=1201", "1200 training images"),
        ("data.batch_size=many", "integer"),
    ],
)
def test_options_that_do_not_fit_are_refused(override: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        data_of("data=digits", override)


def mnist_copy(folder: Path) -> Path:
    raw = folder / "MNIST" / "raw"
    shutil.copytree(Path(str(DATA_ROOT)) / "MNIST" / "raw", raw, copy_function=shutil.copyfile)
    raw.chmod(0o755)
    return raw


def spoil(path: Path, damage: str) -> None:
    content = bytearray(path.read_bytes())
    if damage == "truncated":
        content = content[:-1]
    else:
        content[len(content) // 2] ^= 1
    path.write_bytes(content)


@needs_mnist
@pytest.mark.parametrize("name", SHA256)
@pytest.mark.parametrize("damage", ["truncated", "altered"])
def test_a_damaged_mnist_file_is_named(tmp_path: Path, name: str, damage: str) -> None:
    path = mnist_copy(tmp_path) / name
    spoil(path, damage)
    with pytest.raises(InputError, match=f"{name}.*damaged or altered"):
        data_of("data=mnist", f"data.root={tmp_path}")


def test_without_mnist_the_message_says_where_files_go_and_what_to_use_instead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    with pytest.raises(InputError, match=r"no route|Error downloading") as caught:
        data_of("data=mnist", f"data.root={tmp_path / 'nothing'}")
    message = str(caught.value)
    assert str(tmp_path / "nothing" / "MNIST" / "raw") in message
    assert "data=digits" in message
    assert all(name in message for name in SHA256)
    assert "\n" not in message


LIKE_MNIST = {"fashion_mnist": torchvision.datasets.FashionMNIST, "kmnist": torchvision.datasets.KMNIST}
SMALL = {"train": 300, "t10k": 100}


def idx(values: Tensor) -> bytes:
    """A file in MNIST's format: two zeros, 8 for bytes, the dimensions and their sizes, the values."""
    sizes = b"".join(size.to_bytes(4, "big") for size in values.shape)
    return bytes([0, 0, 8, values.ndim]) + sizes + values.numpy().tobytes()


@pytest.fixture(params=LIKE_MNIST)
def published(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Path]:
    """A small data set in place of the real one: its name, and the folder from which torchvision downloads it."""

    def urlopen(*arguments: Any) -> Any:
        response = open_url(*arguments)
        response.length = int(response.headers["Content-Length"])  # which a file's response lacks and a server's has
        return response

    open_url = urllib.request.urlopen
    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    folder = tmp_path / "published"
    folder.mkdir()
    random = torch.Generator().manual_seed(0)
    resources = []
    for part, count in SMALL.items():
        pixels = torch.randint(256, (count, 28, 28), generator=random, dtype=torch.uint8)
        labels = (torch.randperm(count, generator=random) % 10).to(torch.uint8)
        for kind, values in (("images-idx3", pixels), ("labels-idx1", labels)):
            name, content = f"{part}-{kind}-ubyte.gz", gzip.compress(idx(values))
            (folder / name).write_bytes(content)
            resources.append((name, hashlib.md5(content).hexdigest()))
    monkeypatch.setattr(LIKE_MNIST[request.param], "resources", resources)
    monkeypatch.setattr(LIKE_MNIST[request.param], "mirrors", [f"{folder.as_uri()}/"])
    return request.param, folder


def raw_folder(source: str, root: Path) -> Path:
    return Path(LIKE_MNIST[source](root, download=True).raw_folder)


def small(source: str, root: Path, *overrides: str) -> ImageData:
    return data_of(f"data={source}", f"data.root={root}", "data.val_size=50", "data.batch_size=5", *overrides)


def test_data_like_mnist_are_read_as_torchvision_reads_them(published: tuple[str, Path], tmp_path: Path) -> None:
    source, _ = published
    raw_folder(source, tmp_path)
    data = small(source, tmp_path)
    for images, train in zip(data.read(), (True, False), strict=True):
        expected = LIKE_MNIST[source](tmp_path, train=train)
        assert torch.equal(images.pixels, expected.data[:, None])
        assert torch.equal(images.labels, expected.targets)
    assert [len(images.labels) for images in data.subsets.values()] == [250, 50, 100]


def test_data_like_mnist_are_downloaded_whole_and_once(published: tuple[str, Path], tmp_path: Path) -> None:
    source, folder = published
    data = small(source, tmp_path)
    assert sorted(path.name for path in data.raw.iterdir()) == sorted(path.name for path in folder.iterdir())
    shutil.rmtree(folder)
    assert torch.equal(small(source, tmp_path).pool.pixels, data.pool.pixels)


def test_what_is_read_is_what_was_verified(published: tuple[str, Path], tmp_path: Path) -> None:
    source, _ = published
    raw = raw_folder(source, tmp_path)
    data = small(source, tmp_path)
    for extracted in raw.glob("*-ubyte"):
        extracted.write_bytes(b"altered")
    assert torch.equal(small(source, tmp_path).pool.pixels, data.pool.pixels)
    for compressed in raw.glob("*.gz"):  # and those are had again, although extracted files are there
        compressed.unlink()
    assert torch.equal(small(source, tmp_path).pool.pixels, data.pool.pixels)


@pytest.mark.parametrize("index", range(4))
@pytest.mark.parametrize("damage", ["truncated", "altered"])
def test_a_damaged_file_of_data_like_mnist_is_named_and_can_be_had_again(
    published: tuple[str, Path], tmp_path: Path, index: int, damage: str
) -> None:
    source, folder = published
    path = raw_folder(source, tmp_path) / sorted(path.name for path in folder.iterdir())[index]
    spoil(path, damage)
    with pytest.raises(InputError, match=f"{path.name}' is not .*'s file: it is damaged or altered .MD5") as caught:
        small(source, tmp_path)
    assert "\n" not in str(caught.value)
    path.unlink()
    small(source, tmp_path)


@pytest.mark.parametrize("extracted", [False, True])
def test_without_data_like_mnist_the_message_says_where_files_go(
    published: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extracted: bool
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("no route to host")

    source, folder = published
    if extracted:
        for compressed in raw_folder(source, tmp_path).glob("*.gz"):
            compressed.unlink()
    monkeypatch.setattr("urllib.request.urlopen", refuse)
    with pytest.raises(InputError, match=r"no route|Error downloading") as caught:
        small(source, tmp_path)
    message = str(caught.value)
    assert str(tmp_path / LIKE_MNIST[source].__name__ / "raw") in message
    assert all(path.name in message for path in folder.iterdir())
    assert "data=digits" in message
    assert "\n" not in message


def test_options_of_data_like_mnist_are_mnists(published: tuple[str, Path], tmp_path: Path) -> None:
    source, _ = published
    everything = small(source, tmp_path)
    assert composed(f"data={source}")["data"].keys() == composed("data=mnist")["data"].keys()
    assert torch.equal(small(source, tmp_path, "data.invert=true").pool.pixels, 255 - everything.pool.pixels)
    assert len(small(source, tmp_path, "data.limit=40").train_images.labels) == 40
    some = small(source, tmp_path, "data.digits=[8,3]")
    eights = everything.pool.pixels[everything.pool.labels == 8]
    assert torch.equal(some.pool.pixels[some.pool.labels == 0], eights)
    assert set(some.pool.labels.tolist()) == {0, 1}


def test_data_like_mnist_can_be_given_the_features_that_they_lack(
    published: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANS_CACHE", str(tmp_path / "cache"))
    source, _ = published
    data = small(source, tmp_path)
    assert data.source == source
    with pytest.raises(InputError, match=f"python features.py data={source}"):
        load_features(data.source)
    make_features(recipe_of(composed(f"data={source}", f"data.root={tmp_path}", "epochs=1", config_name="features")))
    assert load_features(data.source).name == f"{source}1"


def told(data: ImageData) -> Tensor:
    """The labels that a run trains with."""
    return data.train_batches.images.labels


def noisy(share: float, *overrides: str) -> ImageData:
    return data_of("data=digits", f"data.label_noise={share}", *overrides)


def test_without_label_noise_labels_are_true() -> None:
    assert torch.equal(told(noisy(0)), data_of("data=digits").train_images.labels)


@pytest.mark.parametrize("digits", ["[3,8]", "[0,1,2,3,4,5,6,7,8,9]"])
def test_with_all_the_label_noise_no_label_is_true(digits: str) -> None:
    data = noisy(1, f"data.digits={digits}")
    assert (told(data) != data.train_images.labels).all()
    assert set(told(data).tolist()) == set(range(len(data.classes)))


@settings(max_examples=20, deadline=None)
@given(st.floats(0, 1), st.integers(0, 1000))
def test_label_noise_replaces_its_share(share: float, split_seed: int) -> None:
    data = noisy(share, f"data.split_seed={split_seed}")
    count = len(data.train_images.labels)
    replaced = int((told(data) != data.train_images.labels).sum())
    assert abs(replaced - share * count) <= 6 * (share * (1 - share) * count) ** 0.5 + 3


def test_label_noise_takes_every_other_class_equally_often() -> None:
    steps = []
    for split_seed in range(5):
        data = noisy(1, f"data.split_seed={split_seed}")
        steps.append((told(data) - data.train_images.labels) % 10)
    counts = torch.cat(steps).bincount(minlength=10)
    assert counts[0] == 0
    assert chisquare(counts[1:].numpy()).pvalue > 1e-4


def test_label_noise_changes_nothing_but_what_a_run_trains_with() -> None:
    true, data = noisy(0), noisy(0.4)
    for name in true.subsets:
        assert torch.equal(data.subsets[name].pixels, true.subsets[name].pixels)
        assert torch.equal(data.subsets[name].labels, true.subsets[name].labels)
    assert torch.equal(data.pool.labels, true.pool.labels)
    for noisy_batch, batch in zip(data.train_dataloader(), true.train_dataloader(), strict=True):
        assert torch.equal(noisy_batch.images, batch.images)
        assert not torch.equal(noisy_batch.labels, batch.labels)


def test_label_noise_is_the_data_sets_not_the_runs() -> None:
    first, again, other = noisy(0.4), noisy(0.4, "seed=5"), noisy(0.4, "data.split_seed=1")
    assert torch.equal(told(first), told(again))
    assert not torch.equal(told(first) != first.train_images.labels, told(other) != other.train_images.labels)
    limited = noisy(0.4, "data.limit=300")
    assert torch.equal(told(limited), told(first)[limited.kept])


def test_label_noise_needs_another_class() -> None:
    with pytest.raises(InputError, match=r"data.label_noise=0.2 .*data.digits=\[8\]"):
        noisy(0.2, "data.digits=[8]")


def test_label_noise_is_nothing_that_a_feature_network_is_trained_with(tmp_path: Path) -> None:
    config = composed("data=digits", "data.label_noise=0.2", f"output={tmp_path}", config_name="features")
    with pytest.raises(InputError, match=r"data.label_noise: .*all of a source"):
        make_features(recipe_of(config))


def test_floors_are_the_same_with_label_noise() -> None:
    metrics = {"neighbours": Neighbours(), "synthetic_accuracy": SyntheticAccuracy(images=100)}
    true, data = (
        Evaluator(metrics, load_features("digits"), data, most=100).floors("test", conditional=True, transforms=False)
        for data in (noisy(0), noisy(1))
    )
    assert len(true) > 1
    assert true == data
