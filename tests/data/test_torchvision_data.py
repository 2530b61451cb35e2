"""Further data sets of torchvision: from files that it would download, made here."""

import bz2
import hashlib
import pickle
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
import torchvision

from gans.config.build import build_data
from gans.data.source import Source
from gans.errors import InputError
from tests.configs import run_config


def read(name: str, root: Path, *options: str) -> Source:
    return build_data(
        run_config(f"data={name}", f"data.root={root}", "data.val_size=0.2", "data.batch_size=2", *options)
    )


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


@pytest.fixture
def cifar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder, random = tmp_path / "cifar-10-batches-py", numpy.random.default_rng(0)
    folder.mkdir()
    original = torchvision.datasets.CIFAR10
    lists: dict[str, list[Any]] = {"train_list": [], "test_list": []}
    for kind, names in (("train_list", [name for name, _ in original.train_list]), ("test_list", ["test_batch"])):
        for name in names:
            pixels = random.integers(256, size=(100, 3, 32, 32), dtype=numpy.uint8)
            labels = [index % 10 for index in range(100)]
            (folder / name).write_bytes(pickle.dumps({"data": pixels.reshape(100, -1), "labels": labels}))
            lists[kind].append([name, md5(folder / name)])
    meta = folder / "batches.meta"
    meta.write_bytes(pickle.dumps({"label_names": [str(index) for index in range(10)]}))
    for kind, files in lists.items():
        monkeypatch.setattr(original, kind, files)
    monkeypatch.setattr(original, "meta", original.meta | {"md5": md5(meta)})
    return tmp_path


def test_cifar_has_colours_and_names(cifar: Path) -> None:
    data = read("cifar10", cifar, "data.classes=[cat,ship]")
    assert data.train_images.content.shape == (80, 3, 32, 32)
    assert data.classes == [3, 8]
    stored = pickle.loads((cifar / "cifar-10-batches-py" / "test_batch").read_bytes())
    cats = torch.from_numpy(stored["data"].reshape(-1, 3, 32, 32)[3::10])
    assert torch.equal(data.test_images.content[data.test_images.labels == 0], cats)


def test_complete_files_are_read_where_nothing_can_be_written(cifar: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr("gans.data.torchvision_data.only_one", refuse)
    assert len(read("cifar10", cifar).train_images.labels) == 400


def test_usps_is_enlarged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original, split = torchvision.datasets.USPS, {}
    for kind, file in (("train", "usps.bz2"), ("test", "usps.t.bz2")):
        lines = [f"{index % 10 + 1} " + " ".join(f"{place}:1.0" for place in range(1, 257)) for index in range(100)]
        (tmp_path / file).write_bytes(bz2.compress("\n".join(lines).encode()))
        split[kind] = [original.split_list[kind][0], file, md5(tmp_path / file)]
    monkeypatch.setattr(original, "split_list", split)
    data = read("usps", tmp_path)
    assert data.train_images.content.shape == (80, 1, 28, 28)
    assert data.train_images.content.unique().tolist() == [255]
    assert data.test_images.labels.tolist() == [index % 10 for index in range(100)]


def test_emnist_stands_upright(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lying = torch.zeros(260, 28, 28, dtype=torch.uint8)
    lying[:, 3, :] = 255  # a row in the file is a column of the letter
    letters = torchvision.datasets.EMNIST
    monkeypatch.setattr(letters, "_check_exists", lambda _: True)
    monkeypatch.setattr(letters, "_check_legacy_exist", lambda _: False)
    monkeypatch.setattr(letters, "_load_data", lambda _: (lying, torch.arange(260) % 26 + 1))
    data = read("emnist", tmp_path, "data.classes=[a,z]")
    assert data.classes == [0, 25]
    assert (data.train_images.content[:, 0, :, 3] == 255).all()
    assert data.train_images.labels.bincount().tolist() == [8, 8]


@pytest.mark.parametrize("name", ["cifar10", "usps", "emnist"])
def test_what_can_not_be_downloaded_is_refused_in_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*_: Any, **__: Any) -> None:
        raise OSError("Network is unreachable")

    for module in ("cifar", "usps", "mnist"):
        for function in ("download_url", "download_and_extract_archive"):
            monkeypatch.setattr(f"torchvision.datasets.{module}.{function}", offline, raising=False)
    with pytest.raises(InputError, match=r"unreachable.*data\.root") as error:
        read(name, tmp_path / "nowhere")
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())
