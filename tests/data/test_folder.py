"""Images of the user's own, of any format, size and place."""

import math
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import gans
from gans.config.build import build_data
from gans.data.folder import Folder
from gans.data.image_files import find_images, read_image, read_images
from gans.errors import InputError
from gans.run import commands
from gans.run.commands import read_config
from gans.run.generate import generate
from tests.configs import run_config
from tests.run.runs import request, start


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANS_CACHE", str(tmp_path_factory.mktemp("cache")))


def write(path: Path, grey: int = 100, size: tuple[int, int] = (40, 40), mode: str = "L", **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, grey).convert(mode).save(path, **options)
    return path


def data_in(root: Path, *options: str) -> Folder:
    data = build_data(run_config("data=folder", f"data.root='{root}'", "data.batch_size=2", *options))
    assert isinstance(data, Folder)
    return data


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """Three classes, the greys of which are 10, 20 and 30."""
    for number, name in enumerate(("cat", "großer Hund", "parrot, green"), 1):
        for index in range(10 * number):
            write(tmp_path / "pets" / name / ("inner" if index % 2 else "") / f"{index:02d}.png", 10 * number)
    return tmp_path / "pets"


def test_class_folders_are_classes(pets: Path) -> None:
    data = data_in(pets)
    assert data.class_names == ["cat", "großer Hund", "parrot, green"]
    counts = {name: images.labels.bincount(minlength=3).tolist() for name, images in data.subsets.items()}
    assert [sum(each) for each in zip(*counts.values(), strict=True)] == [10, 20, 30]
    assert counts["test"] == [2, 4, 6]
    for images in data.subsets.values():
        assert images.content.shape[1:] == (1, 28, 28)
        assert torch.equal(images.content.amax((1, 2, 3)).long(), 10 * (images.labels + 1))


def test_classes_are_chosen_by_name_or_number(pets: Path) -> None:
    by_name = data_in(pets, "data.classes=['parrot, green',cat]")
    by_number = data_in(pets, "data.classes=[2,0]")
    assert by_name.classes == by_number.classes == [2, 0]
    assert torch.equal(by_name.train_images.content, by_number.train_images.content)
    assert set(by_name.train_images.content[by_name.train_images.labels == 0].unique().tolist()) == {30}
    with pytest.raises(InputError, match=r"dog.*cat"):
        data_in(pets, "data.classes=[dog]")
    with pytest.raises(InputError, match="twice"):
        data_in(pets, "data.classes=[cat,0]")


def test_a_number_that_is_a_name_is_the_name(tmp_path: Path) -> None:
    for name in ("7", "3", "9"):
        for index in range(10):
            write(tmp_path / name / f"{index}.png", int(name))
    data = data_in(tmp_path, "data.classes=[9,3]")
    assert data.classes == [2, 0]
    assert set(data.test_images.content.unique().tolist()) == {3, 9}


def test_the_split_depends_on_the_seeds_as_everywhere(pets: Path) -> None:
    plain, other = data_in(pets), data_in(pets, "data.split_seed=1")
    assert torch.equal(plain.test_images.labels, other.test_images.labels)
    assert len(data_in(pets, "data.test_size=30", "data.val_size=0").test_images.labels) == 30
    assert len(data_in(pets, "data.test_size=0.1", "data.val_size=0.5").val_images.labels) == 27
    for options in (["data.test_size=2"], ["data.test_size=59"], ["data.test_size=0.999"]):
        with pytest.raises(InputError, match=r"data\.test_size"):
            data_in(pets, *options)
    with pytest.raises(InputError, match=r"test_size"):
        data_in(pets, "data.test_size=1.5")


def test_folders_train_and_test_are_the_split(tmp_path: Path) -> None:
    for part, count in (("train", 20), ("test", 5)):
        for name in ("a", "b"):
            for index in range(count):
                write(tmp_path / "divided" / part / name / f"{index}.png", len(part))
    data = data_in(tmp_path / "divided")
    assert data.class_names == ["a", "b"]
    assert len(data.test_images.labels) == 10
    assert data.test_images.content.unique().tolist() == [4]
    with pytest.raises(InputError, match=r"test_size.*no effect"):
        data_in(tmp_path / "divided", "data.test_size=0.2")


@pytest.mark.parametrize(
    "files",
    [
        ["train/a/1", "train/b/1", "val/a/1", "val/b/1"],
        ["train/a/1", "test/a/1", "val/a/1"],
        ["Train/a/1", "Test/a/1"],
        ["train/a/1", "train/b/1", "test/1"],
        ["train/a/1", "train/b/1", "test/a/1"],
        ["a/1", "${x}/1"],
    ],
)
def test_folders_that_can_be_misunderstood_are_refused(files: list[str], tmp_path: Path) -> None:
    for file in files:
        write(tmp_path / "some" / f"{file}.png")
    with pytest.raises(InputError, match="some") as error:
        data_in(tmp_path / "some")
    assert "\n" not in str(error.value)


def test_a_class_with_one_training_image_is_named(tmp_path: Path) -> None:
    for name, count in (("a", 5), ("b", 5), ("c", 2)):
        for index in range(count):
            write(tmp_path / name / f"{index}.png")
    with pytest.raises(InputError, match=r"val_size.*c has one"):
        data_in(tmp_path)
    with pytest.raises(InputError, match=r"limit=6.*c has one.*data.limit=null"):
        data_in(tmp_path, "data.val_size=0", "data.limit=6", "data.batch_size=2")


def test_a_flat_folder_is_one_class(tmp_path: Path) -> None:
    for index in range(40):
        write(tmp_path / "flat" / f"ein Bild {index}.jpg", 50)
    data = data_in(tmp_path / "flat")
    assert data.class_names == ["image"]
    assert [len(images.labels) for images in data.subsets.values()] == [29, 3, 8]
    write(tmp_path / "flat" / "class" / "one.png")
    with pytest.raises(InputError, match="beside folders"):
        data_in(tmp_path / "flat")


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("shape", [(60, 28, 28), (60, 32, 32, 3)])
def test_arrays_of_an_npz_file(labelled: bool, shape: tuple[int, ...], tmp_path: Path) -> None:
    images = numpy.random.default_rng(0).integers(256, size=shape, dtype=numpy.uint8)
    arrays: dict[str, Any] = {"images": images, **({"labels": numpy.arange(60) % 2 * 5} if labelled else {})}
    numpy.savez(tmp_path / "my.npz", **arrays)
    data = data_in(tmp_path / "my.npz", f"data.size={shape[1]}", f"data.channels={3 if len(shape) == 4 else 1}")
    assert data.class_names == (["0", "5"] if labelled else ["image"])
    originals = {image.tobytes() for image in (images[:, None] if len(shape) == 3 else images.transpose(0, 3, 1, 2))}
    found = {image.numpy().tobytes() for each in data.subsets.values() for image in each.content}
    assert found == originals


def test_names_as_bytes_are_read_as_text(tmp_path: Path) -> None:
    images = numpy.zeros((60, 28, 28), numpy.uint8)
    names = numpy.char.encode(["Hündin", "cat"], "utf-8")
    numpy.savez(tmp_path / "labels.npz", images=images, labels=names[numpy.arange(60) % 2])
    numpy.savez(tmp_path / "names.npz", images=images, labels=numpy.arange(60) % 2, class_names=names)
    assert data_in(tmp_path / "labels.npz").class_names == ["Hündin", "cat"]
    assert data_in(tmp_path / "names.npz", "data.classes=[cat]").classes == [1]


@pytest.mark.parametrize(
    "arrays",
    [
        {"pictures": numpy.zeros((9, 28, 28), numpy.uint8)},
        {"images": numpy.zeros((9, 28, 28))},
        {"images": numpy.zeros((9, 28, 28, 4), numpy.uint8)},
        {"images": numpy.zeros((9, 28, 28), numpy.uint8), "labels": numpy.zeros(8, numpy.int64)},
        {"images": numpy.array([None] * 9), "labels": numpy.zeros(9)},
        {"images": numpy.zeros((9, 28, 28), numpy.uint8), "labels": numpy.arange(9) % 3, "class_names": ["a", "b"]},
        {"images": numpy.zeros((9, 28, 28), numpy.uint8), "labels": numpy.arange(9) / 9, "class_names": ["a", "b"]},
        {"images": numpy.zeros((9, 0, 0), numpy.uint8)},
        {"images": numpy.zeros((9, 28, 28), numpy.uint8), "labels": numpy.array(["a", "${seed}", "c"] * 3)},
        {"images": numpy.zeros((9, 28, 28), numpy.uint8), "labels": numpy.array(["a", "b", "c"] * 3, object)},
        {"images": numpy.zeros((9, 28, 28), numpy.uint8), "labels": numpy.arange(9) % 2, "class_names": "ab"},
        {"images": numpy.zeros((9, 28, 28), numpy.uint8), "labels": numpy.arange(9) % 2, "class_names": []},
        {"images": numpy.zeros((9, 28, 28), numpy.uint8), "class_names": ["a", "b"]},
        {"images": numpy.zeros((0, 28, 28), numpy.uint8), "labels": numpy.zeros(0, int), "class_names": ["a"]},
        {"images": numpy.zeros((9, 28, 28), numpy.uint8), "labels": numpy.array([b"a", b"b", b"\xff"] * 3)},
    ],
)
def test_arrays_that_do_not_fit_are_refused(arrays: dict[str, Any], tmp_path: Path) -> None:
    numpy.savez(tmp_path / "my.npz", **arrays)
    with pytest.raises(InputError, match=r"my\.npz") as error:
        data_in(tmp_path / "my.npz")
    assert "\n" not in str(error.value)
    assert "object_type" not in str(error.value)  # of Hydra


def test_labels_that_are_no_class(tmp_path: Path) -> None:
    """As generate.py writes them for a generator without classes."""
    images = numpy.zeros((60, 28, 28), numpy.uint8)
    numpy.savez(tmp_path / "none.npz", images=images, labels=numpy.full(60, -1), class_names=["a", "b"])
    assert data_in(tmp_path / "none.npz").class_names == ["image"]
    numpy.savez(tmp_path / "no.npz", images=images, labels=numpy.full(60, -1), class_names=numpy.array([], str))
    assert data_in(tmp_path / "no.npz").class_names == ["image"]
    numpy.savez(tmp_path / "some.npz", images=images, labels=numpy.arange(60) % 2, class_names=["a", "b"])
    assert data_in(tmp_path / "some.npz").class_names == ["a", "b"]
    numpy.savez(tmp_path / "mixed.npz", images=images, labels=numpy.arange(60) % 3 - 1)
    with pytest.raises(InputError, match="no class"):
        data_in(tmp_path / "mixed.npz")
    numpy.savez(tmp_path / "nan.npz", images=images, labels=numpy.where(numpy.arange(60) > 30, 1.0, numpy.nan))
    with pytest.raises(InputError, match="NaN"):
        data_in(tmp_path / "nan.npz")


@pytest.mark.parametrize("name", ["images", "labels", "class_names"])
def test_an_array_of_python_objects_is_named(name: str, tmp_path: Path) -> None:
    arrays: dict[str, Any] = {"images": numpy.zeros((60, 28, 28), numpy.uint8), "labels": numpy.arange(60) % 2}
    arrays["class_names"] = ["a", "b"]
    mixed = numpy.array([numpy.zeros((28, 28), numpy.uint8), numpy.zeros((30, 30), numpy.uint8)], object)
    numpy.savez(tmp_path / "my.npz", **(arrays | {name: mixed}))
    with pytest.raises(InputError, match=rf"my\.npz': {name} .*{'one size' if name == 'images' else 'dtype'}"):
        data_in(tmp_path / "my.npz")


def test_arrays_that_are_not_used_are_named_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arrays: dict[str, Any] = {"images": numpy.zeros((60, 28, 28), numpy.uint8)}
    numpy.savez(tmp_path / "my.npz", **arrays, label=numpy.arange(60) % 2, extra=numpy.zeros(1))
    data_in(tmp_path / "my.npz")
    data_in(tmp_path / "my.npz")
    (line,) = capsys.readouterr().err.splitlines()
    assert "extra, label" in line
    assert "images, labels, class_names" in line
    numpy.savez(tmp_path / "all.npz", **arrays, labels=numpy.arange(60) % 2, class_names=["a", "b"])
    data_in(tmp_path / "all.npz")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("content", [b"", b"no archive"])
def test_a_damaged_npz_file_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "my.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"my\.npz"):
        data_in(tmp_path / "my.npz")


@pytest.mark.parametrize("make", [Path.absolute, Path.mkdir, Path.touch])
def test_where_there_are_no_images_one_line_says_so(make: Callable[[Path], object], tmp_path: Path) -> None:
    make(tmp_path / "empty")
    with pytest.raises(InputError, match="empty") as error:
        data_in(tmp_path / "empty")
    assert "\n" not in str(error.value)


def test_a_class_whose_name_is_no_utf_8_is_named(pets: Path) -> None:
    write(Path(os.fsdecode(os.fsencode(pets / "caf") + b"\xe9")) / "1.png")
    with pytest.raises(InputError, match=r"caf.*UTF-8: rename"):
        data_in(pets)


def test_a_rare_class_is_named(pets: Path) -> None:
    write(pets / "axolotl" / "only.png")
    with pytest.raises(InputError, match=r"axolotl"):
        data_in(pets)


@pytest.mark.slow
def test_names_with_dollar_signs_stay_as_they_are_in_all_figures(tmp_path: Path) -> None:
    names = ["US$ 10", "a_$x_$"]
    for name in names:
        for index in range(20):
            write(tmp_path / "own" / name / f"{index}.png", 5 * index)
    options = ("data=folder", f"data.root='{tmp_path / 'own'}'", "data.batch_size=4", "metric=none", "figure=[grids]")
    run = start(tmp_path / "runs", *options, "model=acgan", "trainer.max_steps=1", "formats=[svg]")
    assert run.history.last == "finished"
    folder = generate(request(run.path, count=20, formats=["svg"]))
    for file in (run.figures / "samples.svg", folder / "grid.svg"):
        assert all(f">{name}<" in file.read_text() for name in names)


def test_a_run_goes_on_with_its_own_images_only(pets: Path, tmp_path: Path) -> None:
    options = ("data=folder", f"data.root='{pets}'", "data.batch_size=4", "metric=none", "figure=none")
    run = start(tmp_path / "runs", *options, "model=dcgan", "trainer.max_steps=2")
    write(pets / "cat" / "another.png", 99)
    for command in (commands.resume, commands.test):
        with pytest.raises(InputError, match="other images"):
            command(run, read_config(run, []))


def test_a_run_goes_on_when_its_images_have_moved(
    pets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("data=folder", f"data.root='{pets}'", "data.batch_size=4", "metric=none", "figure=none")
    run = start(tmp_path / "runs", *options, "model=dcgan", "trainer.max_steps=2")
    moved = pets.rename(tmp_path / "moved")
    for command in (commands.resume, commands.test):
        with pytest.raises(InputError, match=r"data\.root"):
            command(run, read_config(run, []))
        command(run, read_config(run, [], data_root=str(moved)))
    assert f"data.root={moved}" in capsys.readouterr().out  # the command that trains it longer
    assert gans.resume(run.path, max_steps=3, data_root=str(moved)).config["data"]["root"] == str(moved)
    write(moved / "cat" / "another.png", 99)
    with pytest.raises(InputError, match="other images"):
        gans.resume(run.path, max_steps=4, data_root=str(moved))


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "I", "F"])
def test_every_mode_shows_the_same_grey(mode: str, channels: int, tmp_path: Path) -> None:
    image = Image.new("L", (30, 20), 255 if mode == "1" else 128)
    if mode == "I;16":
        image = Image.fromarray(numpy.full((20, 30), 128 * 257, numpy.uint16))
    path = tmp_path / ("image.tif" if mode in ("CMYK", "YCbCr", "F", "I") else "image.png")
    (image if mode == "I;16" else image.convert(mode)).save(path)
    pixels = read_image(path, 16, channels)
    assert pixels.shape == (channels, 16, 16)
    assert abs(int(pixels.min()) - (255 if mode == "1" else 128)) <= 2
    assert pixels.max() - pixels.min() <= 2


def test_transparent_places_are_white(tmp_path: Path) -> None:
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert read_image(tmp_path / "clear.png", 8, 1).min() == 255


def test_the_first_frame_of_a_film_is_taken(tmp_path: Path) -> None:
    frames = [Image.new("L", (9, 9), grey) for grey in (40, 200)]
    frames[0].save(tmp_path / "film.gif", save_all=True, append_images=frames[1:])
    assert read_image(tmp_path / "film.gif", 9, 1).max() == 40


def test_photographs_are_turned_as_they_say(tmp_path: Path) -> None:
    pixels = numpy.zeros((16, 16), numpy.uint8)
    pixels[:8] = 255  # the upper half is white
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    Image.fromarray(pixels).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    assert read_image(tmp_path / "turned.jpg", 16, 1)[0, :7].max() < 20


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 40), st.sampled_from([1, 3]))
@settings(max_examples=30, deadline=None)
def test_any_size_becomes_a_square_of_its_middle(width: int, height: int, size: int, channels: int) -> None:
    path = Path(os.environ["GANS_CACHE"]) / "image.png"
    Image.new("L", (width, height), 77).save(path)
    pixels = read_image(path, size, channels)
    assert pixels.shape == (channels, size, size)
    assert set(pixels.reshape(-1).tolist()) == {77}


def test_files_that_can_not_be_read_are_named_and_counted(pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (pets / "cat" / "broken.png").write_bytes(b"\x89PNG no more")
    (pets / "cat" / "gone.png").symlink_to(pets / "nowhere.png")
    (pets / "cat" / "notes.txt").write_text("not an image")
    for name in ("licence.pdf", "features.h5", "clip.mpg"):  # which Pillow only writes, or only names
        (pets / name).write_bytes(b"no image")
    (pets / "cat" / ".hidden.png").write_text("not looked at")
    data = data_in(pets)
    assert sum(len(images.labels) for images in data.subsets.values()) == 60
    told = capsys.readouterr().err
    assert "2 of 62" in told
    for name in ("broken.png", "gone.png", "notes.txt"):
        assert name in told
    assert "hidden" not in told


@pytest.mark.parametrize(
    "values", [(-1, 1), (0, 65536), (-1.0, 1.0), (0.0, 65536.0), (-300.0, 200.0), (0.0, math.nan), (0.0, math.inf)]
)
def test_values_of_no_known_range_are_left_out_and_named(
    values: tuple[float, float], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    kind = numpy.float32 if isinstance(values[0], float) else numpy.int32
    Image.fromarray(numpy.resize(numpy.array(values, kind), (8, 8))).save(tmp_path / "bad.tif")
    write(tmp_path / "good.png")
    _, indices = read_images(find_images(tmp_path), 8, 1, "")
    assert indices.tolist() == [1]
    (line,) = [line for line in capfd.readouterr().err.splitlines() if "arning" in line]
    assert line.startswith("warning: 1 of 2")
    assert "bad.tif" in line
    assert "0 to 1" in line


@pytest.mark.parametrize("largest", [1, 255, 65535])
@pytest.mark.parametrize("kind", [numpy.float32, numpy.int32])
def test_values_of_a_known_range_are_scaled(kind: type, largest: int, tmp_path: Path) -> None:
    Image.fromarray(numpy.resize(numpy.array([0, largest], kind), (8, 8))).save(tmp_path / "image.tif")
    assert {*read_image(tmp_path / "image.tif", 8, 1).flat} == {0, 255}


def test_large_images_are_read_without_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    write(tmp_path / "large.png")
    with warnings.catch_warnings(record=True) as caught:
        assert len(read_images(find_images(tmp_path), 8, 1, "")[1]) == 1
    assert not caught
    assert "arning" not in capfd.readouterr().err


@pytest.mark.parametrize("channels", [1, 3])
def test_lab_images_are_read(channels: int, tmp_path: Path) -> None:
    Image.new("LAB", (8, 8), (255, 128, 128)).save(tmp_path / "white.tif")
    assert read_image(tmp_path / "white.tif", 8, channels).min() > 250


def test_links_are_followed_and_loops_end(pets: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    for index in range(10):
        write(elsewhere / f"{index}.png", 40)
    (pets / "linked").symlink_to(elsewhere)
    (elsewhere / "loop").symlink_to(elsewhere)
    (elsewhere / "itself").symlink_to(elsewhere / "itself")
    data = data_in(pets)
    assert data.class_names[2] == "linked"
    assert len(find_images(pets / "linked")) == 10


def test_images_are_read_once(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until a file changes; a damaged or unwritable cache only costs time."""
    paths = find_images(pets / "cat")
    first = read_images(paths, 8, 1, "")
    with monkeypatch.context() as patch:
        patch.setattr("gans.data.image_files.read_image", None)
        assert all(map(torch.equal, read_images(paths, 8, 1, ""), first))
    for file in Path(os.environ["GANS_CACHE"]).rglob("*.safetensors"):
        file.write_bytes(b"damaged")
    assert all(map(torch.equal, read_images(paths, 8, 1, ""), first))
    write(paths[0], 200, (41, 41))
    assert read_images(paths, 8, 1, "")[0][0].max() == 200
    monkeypatch.setenv("GANS_CACHE", "/proc/nothing")
    assert read_images(paths, 8, 1, "")[0].shape == (10, 1, 8, 8)


def test_what_does_not_fit_into_memory_is_refused_before_it_is_read(
    pets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gans.data.folder.free_memory", lambda: 1000)
    with pytest.raises(InputError, match=r"60 images.*data\.size"):
        data_in(pets)
