"""MNIST and its like: files that are downloaded once, verified at each use, and named where they are not whole."""

import gzip
import hashlib
import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor

from gans.config.build import build_evaluator
from gans.data.images import ImageData
from gans.data.mnist import SHA256
from gans.errors import InputError
from gans.features.training import train_classifier
from gans.run.make_features import make_features
from tests.configs import DATA_ROOT, composed, needs_mnist, run_config
from tests.data.test_images import data_of


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
        assert torch.equal(images.content, expected.data[:, None])
        assert torch.equal(images.labels, expected.targets)
    assert [len(images.labels) for images in data.subsets.values()] == [250, 50, 100]


def test_data_like_mnist_are_downloaded_whole_and_once(published: tuple[str, Path], tmp_path: Path) -> None:
    source, folder = published
    data = small(source, tmp_path)
    assert sorted(path.name for path in data.raw.iterdir()) == sorted(path.name for path in folder.iterdir())
    shutil.rmtree(folder)
    assert torch.equal(small(source, tmp_path).train_pool.content, data.train_pool.content)


def test_what_is_read_is_what_was_verified(published: tuple[str, Path], tmp_path: Path) -> None:
    source, _ = published
    raw = raw_folder(source, tmp_path)
    data = small(source, tmp_path)
    for extracted in raw.glob("*-ubyte"):
        extracted.write_bytes(b"altered")
    assert torch.equal(small(source, tmp_path).train_pool.content, data.train_pool.content)
    for compressed in raw.glob("*.gz"):  # and those are had again, although extracted files are there
        compressed.unlink()
    assert torch.equal(small(source, tmp_path).train_pool.content, data.train_pool.content)


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


def named_differently(raw: Path, form: str) -> None:
    """Rename or compress MNIST's files in a folder."""
    for path in list(raw.iterdir()):
        if form == "Kaggle's names":
            path.rename(raw / path.name.replace("-idx", ".idx"))
        elif form == "Kaggle's folders":
            content = path.read_bytes()
            path.unlink()
            path.mkdir()
            (path / path.name).write_bytes(content)
        else:
            path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), 1, mtime=7))
            path.unlink()


def no_route(*_: Any, **__: Any) -> None:
    raise OSError("no route to host")


@pytest.fixture
def small_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The raw folder of a small data set with MNIST's names and kind of checksum; there is no network."""
    monkeypatch.setattr("urllib.request.urlopen", no_route)
    raw = tmp_path / "root" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    random = torch.Generator().manual_seed(0)
    for name in SHA256:
        count = SMALL[name.partition("-")[0]]
        pixels = torch.randint(256, (count, 28, 28), generator=random, dtype=torch.uint8)
        content = idx(pixels if "images" in name else (torch.arange(count) % 10).to(torch.uint8))
        (raw / name).write_bytes(content)
        monkeypatch.setitem(SHA256, name, hashlib.sha256(content).hexdigest())
    return raw


FORMS = ["Kaggle's names", "Kaggle's folders", "compressed again"]


@pytest.mark.parametrize("form", FORMS)
def test_mnist_is_known_by_its_content(small_mnist: Path, form: str) -> None:
    root = small_mnist.parent.parent
    expected = small("mnist", root)
    named_differently(small_mnist, form)
    data = small("mnist", root)
    assert data.data_sha256 == expected.data_sha256
    assert torch.equal(data.train_pool.content, expected.train_pool.content)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("damage", ["truncated", "altered"])
@pytest.mark.parametrize("name", SHA256)
@pytest.mark.slow
def test_what_lies_there_and_is_not_mnist_is_named(small_mnist: Path, form: str, damage: str, name: str) -> None:
    """Without a try to download it."""
    spoil(small_mnist / name, damage)
    named_differently(small_mnist, form)
    with pytest.raises(InputError, match=rf"{name.partition('-idx')[0]}.*damaged or altered") as error:
        small("mnist", small_mnist.parent.parent)
    assert "\n" not in str(error.value)
    assert "host" not in str(error.value)


@pytest.mark.parametrize("source", ["mnist", *LIKE_MNIST])
def test_a_failed_download_is_a_short_line_and_leaves_nothing(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("urllib.request.urlopen", no_route)
    before = sorted(tmp_path.rglob("*"))
    for root in (tmp_path / "no" / "such" / "folder", tmp_path):
        with pytest.raises(InputError, match="no route to host") as error:
            small(source, root)
        assert sorted(tmp_path.rglob("*")) == before
        message = str(error.value).replace(str(root), "")
        assert len(message) < 400
        assert "<" not in message
    assert capfd.readouterr() == ("", "")


def test_options_of_data_like_mnist_are_mnists(published: tuple[str, Path], tmp_path: Path) -> None:
    source, _ = published
    everything = small(source, tmp_path)
    assert composed(f"data={source}")["data"].keys() == composed("data=mnist")["data"].keys()
    assert torch.equal(
        small(source, tmp_path, "data.invert=true").train_pool.content, 255 - everything.train_pool.content
    )
    assert len(small(source, tmp_path, "data.limit=40").train_images.labels) == 40
    some = small(source, tmp_path, "data.classes=[8,3]")
    eights = everything.train_pool.content[everything.train_pool.labels == 8]
    assert torch.equal(some.train_pool.content[some.train_pool.labels == 0], eights)
    assert set(some.train_pool.labels.tolist()) == {0, 1}


def test_data_like_mnist_can_be_given_the_features_that_they_lack(
    published: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def in_float32(*arguments: Any, **options: Any) -> Iterator[int]:
        """Many CPUs emulate bfloat16."""
        return train_classifier(*arguments, **options | {"precision": torch.float32})

    monkeypatch.setattr("gans.features.learn.train_classifier", in_float32)
    monkeypatch.setenv("GANS_CACHE", str(tmp_path / "cache"))
    source, _ = published
    data = small(source, tmp_path)
    assert data.source == source
    config = run_config(f"data={source}", f"data.root={tmp_path}", "metric=fid")
    options = (f"data={source}", f"data.root={tmp_path}", "epochs=1", "least_accuracy=0")
    make_features(composed(*options, config_name="features"))
    evaluator = build_evaluator(config, data)
    assert evaluator is not None
    assert evaluator.features.name == f"{source}1-{data.data_sha256[:8]}"
