"""The page: the same images as PyTorch's, its controls, and what it refuses."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page
from torch import Tensor

from gans.config.schema import ExploreConfig
from gans.errors import InputError
from gans.explore import write
from gans.explore.program import Program
from gans.explore.write import GREY_LEVELS, Explorer, ScoreNetwork, explore, plain, score_samples, training_images
from gans.export.network import Exportable
from gans.run.checkpoint_files import newest_whole
from gans.run.folder import RunFolder
from gans.run.trained import load_gan
from tests.browser import needs_chromium, open_page
from tests.export.trained import POINT_MODELS, WITH_EMA, loaded, request, trained_run

DRAWN = ("dcgan", "autoencoder")
IN_CI = [
    pytest.param(model, stabilizer, marks=[] if (model, stabilizer) == ("dcgan", "none") else pytest.mark.slow)
    for model, stabilizer in WITH_EMA
]
SAMPLES = 8

Made = tuple[RunFolder, Explorer]


@pytest.fixture(scope="module")
def explored(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Made]:
    """(model, options) -> a run of two steps and its page."""
    made: dict[tuple[str, ...], Made] = {}

    def run(*options: str) -> Made:
        if options not in made:
            trained = trained_run(tmp_path_factory.mktemp("explored"), *options)
            made[options] = trained, explore(request(ExploreConfig, trained.path))
        return made[options]

    return run


def in_browser(page: Page, inputs: tuple[Tensor, ...]) -> dict[str, NDArray[Any]]:
    """pixels, scores and milliseconds of each sample."""
    samples = [[value[index].flatten().tolist() for value in inputs] for index in range(len(inputs[0]))]
    script = """async (samples) => {
        const found = { pixels: [], scores: [], milliseconds: [] };
        for (const inputs of samples) {
            const made = await window.explorer(...inputs);
            found.pixels.push(Array.from(made.pixels));
            found.scores.push(Array.from(made.scores ?? []));
            found.milliseconds.push(made.milliseconds);
        }
        return found;
    }"""
    return {name: numpy.array(values) for name, values in page.evaluate(script, samples).items()}


def in_pytorch(made: Exportable, inputs: tuple[Tensor, ...]) -> NDArray[numpy.float32]:
    with torch.no_grad():
        return made.network(*inputs).flatten(1).numpy()


def grey_levels(first: NDArray[Any], second: NDArray[Any]) -> float:
    assert first.shape == second.shape
    return float(numpy.abs(numpy.round(255 * first) - numpy.round(255 * second)).max())


@needs_chromium
@pytest.mark.parametrize(("model", "stabilizer"), IN_CI)
@pytest.mark.slow
def test_the_browser_makes_the_images_of_pytorch(
    browser: Browser, explored: Callable[..., Made], model: str, stabilizer: str
) -> None:
    run, written = explored(model, f"stabilize={stabilizer}")
    assert written.notes == []
    made, page = loaded(run), open_page(browser, written.file)
    inputs = made.inputs(SAMPLES)
    found, expected = in_browser(page, inputs), in_pytorch(made, inputs)
    levels = grey_levels(found["pixels"], expected)
    size, time = written.file.stat().st_size / 1e6, numpy.median(found["milliseconds"])
    print(f"{model} {stabilizer}: {levels:.0f} grey levels, {time:.1f} ms, {size:.1f} MB")
    assert expected.std() > 0.1
    assert levels <= GREY_LEVELS
    assert found["milliseconds"].min() < 100

    checkpoint = newest_whole(run.checkpoints, "last")
    assert checkpoint is not None
    discriminator = ScoreNetwork(plain(load_gan(checkpoint))).eval()
    classes = inputs[1] if made.generator.takes_classes else torch.zeros(SAMPLES, dtype=torch.int64)
    shape = (SAMPLES, *made.network(*inputs).shape[1:])
    with torch.no_grad():
        scores = discriminator(torch.from_numpy(expected).reshape(shape), classes).numpy()
    assert numpy.allclose(found["scores"], scores, atol=0.02 * max(1.0, numpy.abs(scores).max()))

    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in made.generator.parameters():
            weight.add_(0.2 * weight.norm() / weight.numel() ** 0.5 * torch.randn(weight.shape, generator=random))
    assert grey_levels(found["pixels"], in_pytorch(made, inputs)) > GREY_LEVELS


@pytest.mark.slow
def test_a_discriminator_with_spectral_norm_scores_as_it_does(tmp_path: Path) -> None:
    run = trained_run(tmp_path, "dcgan", "stabilize=spectral_norm")
    assert explore(request(ExploreConfig, run.path)).notes == []
    checkpoint = newest_whole(run.checkpoints, "last")
    assert checkpoint is not None
    images, classes = torch.rand(SAMPLES, 1, 28, 28), torch.zeros(SAMPLES, dtype=torch.int64)
    gan = load_gan(checkpoint)
    with torch.no_grad():
        expected = ScoreNetwork(gan)(images, classes)
        torch.testing.assert_close(ScoreNetwork(plain(gan))(images, classes), expected)


@pytest.mark.slow
def test_means_are_of_what_the_generator_makes_of_training_images(
    explored: Callable[..., Made], tmp_path: Path
) -> None:
    run, _ = explored("autoencoder", "stabilize=none")
    checkpoint, made = newest_whole(run.checkpoints, "last"), loaded(run)
    assert checkpoint is not None
    gan, data = plain(load_gan(checkpoint)), training_images(run)
    assert data is not None
    with torch.no_grad():
        mean = ScoreNetwork(gan)(made.network(1 - data.images), data.labels).mean()
    assert score_samples(gan, made, run).generated == pytest.approx(float(mean), abs=1e-5)
    copied = Path(shutil.copytree(run.path, tmp_path / "run"))
    RunFolder(copied).samples_file("data").unlink()
    (note,) = explore(request(ExploreConfig, copied)).notes
    assert "training images" in note


def pixels(page: Page, selector: str) -> NDArray[numpy.uint8]:
    """What a canvas shows, after the worker has done all that it was asked for."""
    page.evaluate("""async () => {
        const data = JSON.parse(document.getElementById("data").textContent);
        const sizes = data.input_sizes.map((shape) => shape.reduce((total, size) => total * size, 1));
        await window.explorer(...sizes.map((size) => new Float32Array(size)));
    }""")
    read = "(canvas) => Array.from(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data)"
    return numpy.array(page.locator(selector).evaluate(read), numpy.uint8)


def same(*images: NDArray[numpy.uint8]) -> bool:
    """Whether images are equal but for rounding."""
    return all(numpy.abs(image.astype(int) - images[0]).max() <= GREY_LEVELS for image in images[1:])


@pytest.mark.slow
@needs_chromium
def test_latents_are_walked_pinned_and_drawn_anew(browser: Browser, explored: Callable[..., Made]) -> None:
    page = open_page(browser, explored("dcgan", "stabilize=none")[1].file)
    first = pixels(page, "#image")
    assert same(pixels(page, "#a"), first)
    walk = page.locator("#walk").bounding_box()
    assert walk
    page.mouse.move(walk["x"] + walk["width"] / 2, walk["y"] + walk["height"] / 2)
    assert same(pixels(page, "#image"), first)  # the middle of the grid is the image
    page.mouse.move(walk["x"] + walk["width"] / 5, walk["y"] + walk["height"] / 5)
    away = pixels(page, "#image")
    assert not same(away, first)
    page.mouse.move(0, 0)
    assert same(pixels(page, "#image"), first)
    page.mouse.click(walk["x"] + walk["width"] / 5, walk["y"] + walk["height"] / 5)
    page.mouse.move(0, 0)
    assert same(pixels(page, "#image"), away)
    page.locator("#pin-b").click()
    page.locator("#between").fill("1")
    assert same(pixels(page, "#image"), away, pixels(page, "#strip canvas:last-child"))
    page.locator("#between").fill("0")
    assert same(pixels(page, "#image"), first, pixels(page, "#strip canvas:first-child"))
    page.locator("summary").click()
    page.locator("#sliders input").first.fill("2.5")
    moved = pixels(page, "#image")
    assert not same(moved, first)
    assert not same(moved, away)
    page.locator("#seed").fill("0")
    assert same(pixels(page, "#image"), first)
    page.locator("#new").click()
    assert page.locator("#seed").input_value() != "0"
    assert not same(pixels(page, "#image"), first)


@needs_chromium
@pytest.mark.slow
def test_classes_are_chosen_by_their_names(browser: Browser, explored: Callable[..., Made]) -> None:
    page = open_page(browser, explored("cgan", "stabilize=none", "data.classes=[1,3,7]")[1].file)
    assert page.locator("#classes button").all_inner_texts() == ["1", "3", "7"]
    first = pixels(page, "#image")
    page.locator("#classes button").nth(2).click()
    assert page.locator("#classes [aria-pressed=true]").inner_text() == "7"
    assert not same(pixels(page, "#image"), first)
    assert same(pixels(page, "#image"), pixels(page, "#classes button:nth-child(3) canvas"))


@pytest.mark.slow
@needs_chromium
def test_a_digit_can_be_drawn(browser: Browser, explored: Callable[..., Made]) -> None:
    run, written = explored("autoencoder", "stabilize=none")
    page, made = open_page(browser, written.file), loaded(run)
    assert run.pairs is not None
    given = torch.from_numpy(run.pairs["inputs"]).float()[:, None] / 255
    page.locator("#held-out button").nth(3).click()
    shown = pixels(page, "#image").astype(int).reshape(-1, 4)[:, 0]
    assert numpy.abs(shown - 255 * in_pytorch(made, (given[3:4],))).max() <= GREY_LEVELS
    page.locator("#clear").click()
    (paper,) = set(pixels(page, "#drawing").astype(int).reshape(-1, 4)[:, 0].tolist())
    before, box = pixels(page, "#image"), page.locator("#drawing").bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.8)
    page.mouse.up()
    drawn = pixels(page, "#drawing").astype(int).reshape(28, 28, 4)[:, :, 0]
    column = numpy.abs(drawn[:, 13:15] - paper)
    assert (column[7:21] > 200).all()
    assert (drawn[:, :10] == paper).all()
    assert not same(pixels(page, "#image"), before)


@pytest.mark.slow
@needs_chromium
@pytest.mark.parametrize(
    ("model", "width", "dark"),
    [("dcgan", 390, False), ("dcgan", 1400, True), ("autoencoder", 390, True), ("autoencoder", 1400, False)],
)
def test_it_fits_every_screen(
    browser: Browser, explored: Callable[..., Made], model: str, width: int, dark: bool
) -> None:
    page = open_page(browser, explored(model, "stabilize=none")[1].file, width, dark=dark)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    pixels(page, "#image")
    assert "score" in page.locator("#score-text").inner_text()
    for canvas in page.locator("canvas:visible").all():
        place = canvas.bounding_box()
        assert place
        assert place["x"] >= 0
        assert place["x"] + place["width"] <= width


@pytest.mark.slow
def test_a_run_may_delete_the_checkpoint_meanwhile(
    explored: Callable[..., Made], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a run in training does, which keeps its last two checkpoints."""
    run, _ = explored("dcgan")
    copied = Path(shutil.copytree(run.path, tmp_path / "run"))

    def write_program(*arguments: Any) -> Program:
        shutil.rmtree(copied / "checkpoints", ignore_errors=True)
        return original(*arguments)

    original = write.write_program
    monkeypatch.setattr(write, "write_program", write_program)
    assert not explore(request(ExploreConfig, copied)).notes


@pytest.mark.slow
def test_a_full_disk_leaves_no_folder(
    explored: Callable[..., Made], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    run, _ = explored("dcgan", "stabilize=none")
    monkeypatch.setattr(write, "write_text", full)
    with pytest.raises(OSError, match="page"):
        explore(request(ExploreConfig, run.path, output=str(tmp_path / "new" / "page")))
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_without_a_discriminator_the_page_says_so(explored: Callable[..., Made], tmp_path: Path) -> None:
    run, _ = explored("dcgan", "stabilize=none")
    alone = tmp_path / "file.safetensors"
    alone.write_bytes(run.generator_file.read_bytes())
    written = explore(request(ExploreConfig, alone))
    (note,) = written.notes
    assert note in written.file.read_text(encoding="utf-8").replace("&#39;", "'").replace("Without", "without")
    assert written.file.parent.parent == tmp_path
    (note,) = explore(request(ExploreConfig, run.generator_file)).notes
    assert f"use run={run.path}" in note


@pytest.mark.slow
@pytest.mark.parametrize(("stabilizer", "word"), [("packing", "packing"), ("minibatch_deviation", "other images")])
def test_a_discriminator_of_batches_is_left_out(tmp_path: Path, stabilizer: str, word: str) -> None:
    run = trained_run(tmp_path, "dcgan", f"stabilize={stabilizer}")
    (note,) = explore(request(ExploreConfig, run.path)).notes
    assert word in note


@pytest.mark.slow
@pytest.mark.parametrize("model", POINT_MODELS)
def test_points_are_refused(tmp_path: Path, model: str) -> None:
    run = trained_run(tmp_path, model)
    before = sorted(run.path.iterdir())
    with pytest.raises(InputError, match="points"):
        explore(request(ExploreConfig, run.path))
    assert sorted(run.path.iterdir()) == before


def test_bad_input_is_refused_in_one_line(
    explored: Callable[..., Made], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _ = explored("dcgan", "stabilize=none")
    untrained = RunFolder.create(tmp_path, {"data": {}, "model": {}})
    (tmp_path / "file").touch()
    before = sorted(tmp_path.iterdir())

    def asked(said: str, path: Path, **options: Any) -> None:
        with pytest.raises(InputError, match=said) as error:
            explore(request(ExploreConfig, path, **options))
        assert "\n" not in str(error.value)
        assert sorted(tmp_path.iterdir()) == before

    asked("nowhere", tmp_path / "nowhere")
    asked("no trained generator", untrained.path)
    asked("can't be written", run.path, output=str(tmp_path / "file" / "out"))
    output = str(tmp_path / "new" / "out")
    with monkeypatch.context() as patch:
        patch.setattr(write, "LARGEST", 10_000)
        asked("MB", run.path, output=output)
    monkeypatch.setattr(write, "GREY_LEVELS", 1e-6)
    asked("grey levels", run.path, output=output)
