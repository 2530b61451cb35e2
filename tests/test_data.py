"""Data: disjoint sets, filters, order, and answers to files that are not what they should be."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gans.building import build_data
from gans.data.batches import Images, InOrder, Shuffled
from gans.data.images import ImageData
from gans.data.mnist import SHA256
from gans.errors import InputError
from gans.settings import validate
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
    batches = Shuffled(images, size, seed, replacement=replacement)
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
    whole = Shuffled(images, 5, seed=3)
    batches = [batch.labels for _ in range(2) for batch in whole]
    stopped = Shuffled(images, 5, seed=3)
    seen: list[torch.Tensor] = []
    for batch in (batch for _ in range(2) for batch in stopped):
        if len(seen) == position:
            break
        seen.append(batch.labels)
        state = stopped.state_dict()
    restored = Shuffled(images, 5, seed=3)
    if seen:
        restored.load_state_dict(state)
    rest = [batch.labels for batch in restored]
    expected = batches[position : position + len(rest)]
    assert len(rest) > 0
    assert all(torch.equal(first, second) for first, second in zip(rest, expected, strict=True))


def test_held_out_batches_are_every_image_once_in_order() -> None:
    images = Images(torch.zeros(7, 1, dtype=torch.uint8), torch.arange(7))
    batches = InOrder(images, 3)
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


@needs_mnist
@pytest.mark.parametrize("name", SHA256)
@pytest.mark.parametrize("damage", ["truncated", "altered"])
def test_a_damaged_mnist_file_is_named(tmp_path: Path, name: str, damage: str) -> None:
    path = mnist_copy(tmp_path) / name
    content = bytearray(path.read_bytes())
    if damage == "truncated":
        content = content[:-1]
    else:
        content[len(content) // 2] ^= 1
    path.write_bytes(content)
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
