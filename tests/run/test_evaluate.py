"""Images from anywhere are judged as a run's test judges those of its generator."""

import shutil
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from PIL import Image

from gans.config.build import build_data, read_data
from gans.data.batches import Dataset
from gans.data.images import ImageData
from gans.data.source import Source
from gans.errors import InputError
from gans.metrics.name import MetricName
from gans.run.evaluate import evaluate, read_given
from gans.run.generate import safe_names
from gans.run.test_results import read_results
from tests.configs import composed, mostly_slow, run_config


@pytest.fixture(scope="module")
def digits() -> Source:
    return build_data(run_config("data=digits"))


def save(images: Dataset, folder: Path, *, labelled: bool) -> Path:
    for index, (pixels, label) in enumerate(zip(images.content, images.labels.tolist(), strict=True)):
        place = folder / str(label) if labelled else folder
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[0].numpy()).save(place / f"{index}.png")
    return folder


def judged(images: Path, *options: str) -> dict[str, float]:
    chosen: list[Any] = [f"images='{images}'", "data=digits", "metric=[fid,class_agreement,class_histogram]", *options]
    file = evaluate(composed(*chosen, config_name="evaluate"))
    results = read_results(file).checkpoints["given"].results
    return {parsed.figure: value for name, value in results.items() if (parsed := MetricName.parse(name))}


def test_the_held_out_images_themselves_are_perfect(digits: Source, tmp_path: Path) -> None:
    found = judged(save(digits.test_images, tmp_path / "real", labelled=True))
    assert found["fid"] == pytest.approx(0, abs=1e-3)
    assert found["class_agreement"] == 1
    assert found["class_kl"] == pytest.approx(0, abs=1e-6)


@pytest.mark.slow
def test_noise_is_far_worse_than_training_images(digits: Source, tmp_path: Path) -> None:
    real = judged(save(digits.train_images, tmp_path / "train", labelled=False))
    pixels = torch.randint(256, (200, 28, 28), dtype=torch.uint8)
    numpy.savez(tmp_path / "noise.npz", images=pixels.numpy())
    noise = judged(tmp_path / "noise.npz", f"output={tmp_path}/there/noise.json")
    assert "class_agreement" not in real | noise
    assert noise["fid"] > 20 * real["fid"]
    assert (tmp_path / "there" / "noise.json").is_file()


def test_folders_of_generated_images_are_matched_by_the_classes_names(tmp_path: Path) -> None:
    """Folders that generate.py named after classes stand for them."""
    names = ["great tit", "fünf", "a:b", "5_x/y"]
    pixels = numpy.random.default_rng(0).integers(256, size=(80, 8, 8), dtype=numpy.uint8)
    numpy.savez(tmp_path / "mine.npz", images=pixels, labels=numpy.arange(80) % 4, class_names=names)
    for name in safe_names(names):
        (tmp_path / "pngs" / name).mkdir(parents=True)
        Image.fromarray(pixels[0]).save(tmp_path / "pngs" / name / "0.png")
    node = composed("data=folder", f"data.root='{tmp_path}/mine.npz'", "data.size=8")["data"]
    data = read_data(node, seed=0)
    assert isinstance(data, ImageData)
    given = read_given(tmp_path / "pngs", data)
    found = [data.class_names[number] for number in sorted(given.labels.tolist())]
    assert sorted(found) == sorted(names)
    assert "great tit" in safe_names(names)  # no file system refuses spaces
    for name in safe_names(names)[:-1]:
        shutil.rmtree(tmp_path / "pngs" / name)
    some = read_data(node | {"classes": ["5_x/y"], "batch_size": 8}, seed=0)
    assert isinstance(some, ImageData)
    assert len(read_given(tmp_path / "pngs", some).labels) == 1


def test_labels_are_matched_by_the_classes_names(digits: Source, tmp_path: Path) -> None:
    some = digits.test_images.select(torch.isin(digits.test_images.labels, torch.tensor([8, 3])))
    found = judged(save(some, tmp_path / "some", labelled=True), "data.classes=[8,3]")
    assert found["class_agreement"] == 1
    with pytest.raises(InputError, match=r"8.*only|has not"):
        judged(tmp_path / "some", "data.classes=[3,4]")


@pytest.mark.parametrize(
    ("options", "message"),
    mostly_slow(3, [
        (["metric=[class_agreement]"], "no classes"), (["images=/nowhere"], "nowhere"), (["images=/"], "root"),
        (["metric=none"], "metric=none"), (["metric=[synthetic_accuracy]"], "trains on images"),
        (["metric=[]"], "metric=none"), (["data=ring"], "points"),
        (["data=stacked_digits"], "stacked"),
        (["output=/proc/none.json"], "proc"), (["output=/proc"], "folder"), (["data.label_noise=0.1"], "label_noise"),
        (["data.replacement=true"], "replacement"), (["data.batch_size=2"], "batch_size"),
        (["data.limit=100", "metric=[class_histogram]"], "data.limit"),
    ]),
)  # fmt: skip
def test_what_can_not_be_judged_is_refused(options: list[str], message: str, tmp_path: Path, digits: Source) -> None:
    images = save(digits.test_images.select(slice(20)), tmp_path / "images", labelled=False)
    with pytest.raises(InputError, match=message) as error:
        evaluate(composed(f"images='{images}'", "data=digits", *options, config_name="evaluate"))
    assert "\n" not in str(error.value)
    assert {path.name for path in tmp_path.iterdir()} == {"images"}


def test_what_is_wrong_with_images_is_said_in_the_commands_own_words(tmp_path: Path) -> None:
    for part in ("train", "val", "test"):
        (tmp_path / "tvt" / part).mkdir(parents=True)
    with pytest.raises(InputError, match=r"test, train, val: .*evaluate\.py: images"):
        judged(tmp_path / "tvt")
    numpy.savez(tmp_path / "wide.npz", images=numpy.zeros((9, 20, 30), numpy.uint8))
    with pytest.raises(InputError, match=r"wide\.npz.*20x30") as error:
        judged(tmp_path / "wide.npz")
    assert "data." not in str(error.value)


def test_only_an_evaluation_is_replaced(digits: Source, tmp_path: Path) -> None:
    """Neither the images themselves nor any other file."""
    numpy.savez(tmp_path / "mine.npz", images=digits.test_images.content[:70, 0].numpy())
    before = (tmp_path / "mine.npz").read_bytes()
    (tmp_path / "notes.json").write_text('{"mine": 1}')
    for taken in ("mine.npz", "notes.json"):
        with pytest.raises(InputError, match="exists"):
            judged(tmp_path / "mine.npz", f"output={tmp_path / taken}")
    assert (tmp_path / "mine.npz").read_bytes() == before
    assert judged(tmp_path / "mine.npz") == judged(tmp_path / "mine.npz")


def test_whole_numbers_are_classes_however_they_are_stored(digits: Source, tmp_path: Path) -> None:
    some = digits.test_images.select(slice(70))
    labels = some.labels.numpy().astype(float)
    numpy.savez(tmp_path / "mine.npz", images=some.content[:, 0].numpy(), labels=labels)
    assert judged(tmp_path / "mine.npz")["class_agreement"] == 1


@pytest.mark.parametrize("content", [b"hello", b""])
def test_a_file_that_is_no_npz_is_called_so(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "mine.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"no \.npz file"):
        judged(tmp_path / "mine.npz")
    (tmp_path / "mine.npy").write_bytes(content)
    with pytest.raises(InputError, match=r"neither a folder nor an \.npz file"):
        judged(tmp_path / "mine.npy")
