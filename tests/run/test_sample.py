"""Images from trained generators, and files that are none."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from hydra.utils import get_class
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image, ImageSequence
from safetensors.torch import save_file
from torchvision.datasets import ImageFolder

from gans.config.schema import SampleChoice
from gans.config.validate import check_options
from gans.errors import InputError
from gans.generator import ConditionalGenerator
from gans.run.checkpoint_files import VerifiedCheckpointIO, checkpoint_path, newest_whole
from gans.run.folder import RunFolder
from gans.run.generate import generate, safe_names
from gans.run.sample import KnownClasses, LabelledSamples, Sampler, load_sampler
from gans.run.trained import FORMAT, find_weights, load_generator
from tests.configs import composed, names, narrow
from tests.run.runs import checkpoint, request, start
from tests.run.test_checkpoint_files import Payload


def images(folder: Path) -> numpy.ndarray:
    return numpy.load(folder / "images.npz")["images"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., RunFolder]:
    """(options) -> a run of one step."""
    made: dict[tuple[str, ...], RunFolder] = {}

    def run(*overrides: str) -> RunFolder:
        if overrides not in made:
            model = next((text for text in overrides if text.startswith("model=")), "model=autoencoder")
            folder = tmp_path_factory.mktemp("trained")
            made[overrides] = start(folder, "trainer.max_steps=1", *narrow(model), *overrides)
        return made[overrides]

    return run


def test_images_are_written_in_each_form_and_depend_on_the_seed_alone(trained: Callable[..., RunFolder]) -> None:
    run = trained("model=dcgan")
    first = generate(request(run.path, count=7, npz=True, pngs=True))
    assert first == run.path / "generated"
    assert images(first).shape == (7, 28, 28)
    assert numpy.array_equal(images(first)[6], numpy.asarray(Image.open(first / "pngs" / "0006.png")))
    assert (first / "grid.png").is_file()
    again = generate(request(run.path, count=7, npz=True))
    assert again == run.path / "generated_2"
    assert numpy.array_equal(images(again), images(first))
    file = newest_whole(run.checkpoints, "last")
    assert file is not None
    other = generate(request(file, count=3, npz=True, seed=1))
    assert other.parent == run.path
    assert not numpy.array_equal(images(other), images(first)[:3])
    same = generate(request(file, count=7, npz=True))
    assert numpy.array_equal(images(same), images(first))


def test_where_images_go_is_known_before_they_are_made(
    trained: Callable[..., RunFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trained("model=dcgan")
    assert generate(request(run.figures, count=2)).parent == run.path
    (tmp_path / "file").touch()
    monkeypatch.setattr(Sampler, "draw", None)  # nothing is drawn
    with pytest.raises(InputError, match="file"):
        generate(request(run.path, count=2, output=str(tmp_path / "file" / "new")))


def test_a_full_disk_is_named_and_nothing_stays_there(
    trained: Callable[..., RunFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    run = trained("model=dcgan")
    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OSError, match="new"):
        generate(request(run.path, count=2, pngs=True, output=str(tmp_path / "new")))
    assert not list(tmp_path.iterdir())


def test_classes_are_chosen_for_a_conditional_gan_only(trained: Callable[..., RunFolder]) -> None:
    conditional = trained("model=acgan", "data.classes=[1,3,7]", *narrow("model=acgan"))
    written = generate(request(conditional.path, classes=[7, 3], count=4, npz=True))
    assert numpy.load(written / "images.npz")["labels"].tolist() == [7, 7, 3, 3]
    by_name = generate(request(conditional.path, classes=["7", 3], count=4, npz=True))
    assert numpy.array_equal(images(by_name), images(written))
    bad: tuple[tuple[RunFolder, list[int | str]], ...] = (
        (conditional, [5]), (conditional, []), (conditional, ["seven"]), (trained("model=dcgan"), [5])
    )  # fmt: skip
    for run, classes in bad:
        with pytest.raises(InputError, match="classes"):
            generate(request(run.path, classes=classes))


def test_labels_are_the_sources_numbers_and_names_go_with_them() -> None:
    coats = {0: "T-shirt/top", 1: "Trouser", 2: "Coat"}
    known = KnownClasses.of(["Coat", 0], coats)
    assert (known.numbers, known.names, known.chosen_names) == ([2, 0], list(coats.values()), ["Coat", "T-shirt/top"])
    assert known.indices([2, "T-shirt/top", "Coat"]) == [0, 1, 0]
    assert known.to_labels(torch.tensor([1, 0, -1])).tolist() == [0, 2, -1]
    with pytest.raises(InputError, match=r'2 \("Coat"\), 0 \("T-shirt/top"\)$'):
        known.indices([1])
    unknown: list[tuple[list[int | str], list[int]]] = [([3, 7], [3, 7]), (["Coat", 0], [0, 1]), ([], [])]
    for chosen, numbers in unknown:  # the source's names are not known
        alone = KnownClasses.of(chosen, {})
        assert alone.numbers == numbers
        assert alone.chosen_names == list(map(str, chosen))


def test_a_generator_that_transforms_images_is_shown_held_out_ones(trained: Callable[..., RunFolder]) -> None:
    run = trained("model=autoencoder", "data.classes=[8]")
    written = generate(request(run.path, count=12, npz=True, pngs=True))
    assert set(numpy.load(written / "images.npz")["labels"].tolist()) == {8}
    assert len(list((written / "pngs" / "8").glob("*.png"))) == 12
    with pytest.raises(InputError, match="count=1000"):
        generate(request(run.path, count=1000))


def test_points_are_drawn_but_are_no_pngs(trained: Callable[..., RunFolder]) -> None:
    run = trained("data=ring", "data.train_size=24", "data.batch_size=8", "model=mlp", "model.generator.width=8")
    assert images(generate(request(run.path, count=9, npz=True))).shape == (9, 2)
    for options in ({"pngs": True}, {"walk": 3}):
        with pytest.raises(InputError, match=next(iter(options))):
            generate(request(run.path, **options))


GENERATORS = {name: get_class(composed(f"model={name}")["model"]["generator"]["_target_"]) for name in names("model")}
CONDITIONAL = sorted(name for name, kind in GENERATORS.items() if issubclass(kind, ConditionalGenerator))


def conditional_run(trained: Callable[..., RunFolder], model: str) -> RunFolder:
    return trained(f"model={model}", "data.classes=[1,3,7]", *narrow(f"model={model}"))


@pytest.mark.parametrize("model", CONDITIONAL)
def test_a_walk_leads_through_the_latents_and_classes_of_every_conditional_gan(
    trained: Callable[..., RunFolder], model: str
) -> None:
    sampler = load_sampler(conditional_run(trained, model).path)
    network = sampler.trained.network
    with torch.no_grad():  # an untrained network hardly tells classes apart
        for values in network.parameters():
            values.add_(0.1 * torch.randn(values.shape, generator=torch.Generator().manual_seed(0)))

    def choice(**options: Any) -> SampleChoice:
        return check_options(SampleChoice, {"count": 3, **options})

    walks = sampler.walk(choice(classes=[7, 1, 3], walk=2), 5)
    assert walks.images.shape == (3, 7, 28, 28)
    assert walks.labels.tolist() == [[7, -1, -1, 1, -1, -1, 3]] * 3
    for stop, label in enumerate((7, 1, 3)):  # the same latents in each class
        assert numpy.array_equal(walks.images[:, 3 * stop], sampler.draw(choice(classes=[label]), 5).images)
    steps = numpy.abs(numpy.diff(walks.images.astype(int), axis=1)).mean((0, 2, 3))
    assert (steps > 0).all()

    walks = sampler.walk(choice(walk=1, count=4), 5)
    samples = sampler.draw(choice(count=4), 5)
    assert walks.images.shape == (3, 3, 28, 28)
    assert numpy.array_equal(walks.images[:, 0], samples.images[:-1])
    assert numpy.array_equal(walks.images[:, 2], samples.images[1:])
    assert walks.labels.tolist() == [[1, 1, 1], [1, -1, 3], [3, -1, 7]]


@pytest.mark.parametrize("model", CONDITIONAL)
def test_what_a_network_makes_of_a_class_is_linear_in_it(trained: Callable[..., RunFolder], model: str) -> None:
    """Halfway between two classes is what the mean of their embeddings, or of their one-hot vectors, gives."""
    network = load_generator(conditional_run(trained, model).generator_file).network
    assert isinstance(network, ConditionalGenerator)
    random = torch.Generator().manual_seed(0)
    first, second = (network.inputs(2, random, None, torch.full((2,), label)) for label in (0, 2))
    halfway = network.between(first, second, 0.5, lambda start, *_: start)
    each = [network.embed(inputs.arguments[1]) for inputs in (first, second)]
    mean = [(one + other) / 2 for one, other in zip(*each, strict=True)]
    torch.testing.assert_close(halfway, network.generate(first.arguments[0], *mean))
    torch.testing.assert_close(network(*first.arguments), network.between(first, second, 0, lambda start, *_: start))


def test_a_walk_is_a_grid_and_a_film_without_a_jump(trained: Callable[..., RunFolder]) -> None:
    run = trained("model=dcgan")
    written = generate(request(run.path, count=4, walk=8, npz=True, formats=["png", "svg"]))
    assert {path.name for path in written.iterdir()} == {"grid.png", "grid.svg", "film.gif", "images.npz"}
    assert images(written).shape == (3, 10, 28, 28)
    with Image.open(written / "film.gif") as film:
        frames = [numpy.asarray(frame.convert("L"), int) for frame in ImageSequence.Iterator(film)]
    assert len(frames) == 2 * 9
    for index in range(1, 9):
        assert numpy.array_equal(frames[index][16:], frames[-index][16:])  # below the caption
    straight = generate(request(run.path, count=4, walk=8, npz=True, interpolation="linear"))
    for ends in (0, -1):
        assert numpy.array_equal(images(straight)[:, ends], images(written)[:, ends])
    assert not numpy.array_equal(images(straight), images(written))


def test_several_seeds_give_what_each_gives_alone(trained: Callable[..., RunFolder]) -> None:
    run = trained("model=dcgan")
    both = generate(request(run.path, count=3, seed=[4, 2], npz=True, truncation=0.5))
    assert {path.name for path in both.iterdir()} == {"seed4", "seed2"}
    for seed in (4, 2):
        alone = generate(request(run.path, count=3, seed=seed, npz=True, truncation=0.5))
        assert numpy.array_equal(images(alone), images(both / f"seed{seed}"))
        assert not numpy.array_equal(images(alone), images(generate(request(run.path, count=3, seed=seed, npz=True))))


@pytest.mark.slow
def test_several_seeds_of_chosen_samples_give_what_each_gives_alone(trained: Callable[..., RunFolder]) -> None:
    run = trained("model=dcgan")
    drs = {"_target_": "gans.sampling.rejection.RejectionSampling", "percentile": 10, "first": 50}
    both = generate(request(run.path, count=3, seed=[4, 2], npz=True, sampling=drs))
    for seed in (4, 2):
        alone = generate(request(run.path, count=3, seed=seed, npz=True, sampling=drs))
        assert numpy.array_equal(images(alone), images(both / f"seed{seed}"))
    with pytest.raises(InputError, match="walk=8"):
        generate(request(run.path, count=3, walk=8, sampling=drs))


def test_class_folders_are_read_back_as_they_were_written(trained: Callable[..., RunFolder]) -> None:
    run = conditional_run(trained, "acgan")
    written = generate(request(run.path, count=6, npz=True, pngs=True))
    arrays = numpy.load(written / "images.npz")
    folder = ImageFolder(str(written / "pngs"))
    assert folder.classes == ["1", "3", "7"]
    pixels = {
        Path(path).name: (numpy.asarray(Image.open(path)), folder.classes[label]) for path, label in folder.samples
    }
    assert len(pixels) == 6
    for index, (image, label) in enumerate(zip(arrays["images"], arrays["labels"], strict=True)):
        image_back, name = pixels[f"{index:04d}.png"]
        assert numpy.array_equal(image_back, image)
        assert name == arrays["class_names"][label]


def test_class_names_that_are_damaged_are_not_made_up(trained: Callable[..., RunFolder], tmp_path: Path) -> None:
    shutil.copytree(conditional_run(trained, "acgan").path, tmp_path / "run")
    damaged = RunFolder(tmp_path / "run").samples_file("data")
    damaged.write_bytes(b"PK")
    with pytest.raises(InputError, match=str(damaged)):
        load_sampler(tmp_path / "run")


@given(st.lists(st.text(max_size=80), unique=True))
@example(["../x", "..", "", "/", ".", "con", "CON.txt", "a", "A", "a/b", "a_b", "2_", "_"])
def test_every_class_name_is_made_a_folder_of_its_own(classes: list[str]) -> None:
    made = safe_names(classes)
    assert len({name.lower() for name in made}) == len(classes)
    for name in made:
        assert Path("x", name).resolve().parent == Path("x").resolve()
        assert not name.startswith(".")
        assert name


REFUSED = [
    ("dcgan", {"walk": 0}), ("dcgan", {"walk": 8, "count": 1}), ("dcgan", {"truncation": 0.0}),
    ("dcgan", {"truncation": -1.0}), ("dcgan", {"truncation": float("nan")}), ("dcgan", {"interpolation": "curved"}),
    ("dcgan", {"interpolation": "linear"}), ("dcgan", {"seed": [1, 1]}), ("dcgan", {"seed": []}),
    ("dcgan", {"seed": [-1]}), ("dcgan", {"seed": "1"}), ("dcgan", {"classes": [1, 3], "walk": 2}),
    ("dcgan", {"pngs": True, "walk": 2}), ("dcgan", {"data_root": "here"}),
    ("dcgan", {"walk": 100, "count": 100_000}),
    ("dcgan", {"truncation": 1.0, "sampling": {"_target_": "gans.sampling.rejection.RejectionSampling"}}),
    ("acgan", {"classes": [1, 1], "walk": 2}), ("acgan", {"classes": [1], "walk": 2, "count": 1}),
    ("acgan", {"classes": [], "walk": 2}),
    ("autoencoder", {"walk": 2}), ("autoencoder", {"truncation": 0.5}), ("autoencoder", {"interpolation": "linear"}),
]  # fmt: skip


@pytest.mark.parametrize(("model", "options"), REFUSED, ids=str)
def test_what_makes_no_sense_is_refused_in_one_line_and_leaves_nothing(
    trained: Callable[..., RunFolder], tmp_path: Path, model: str, options: dict[str, Any]
) -> None:
    run = conditional_run(trained, model) if model in CONDITIONAL else trained(f"model={model}")
    with pytest.raises(InputError, match=next(iter(options))) as error:
        generate(request(run.path, output=str(tmp_path / "new" / "made"), **options))
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("stop", [OSError("full"), KeyboardInterrupt()])
def test_nothing_is_left_half_written(
    trained: Callable[..., RunFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: BaseException
) -> None:
    drawn: list[int] = []

    def draw(sampler: Sampler, choice: SampleChoice, seed: int) -> LabelledSamples:
        if drawn:
            raise stop
        drawn.append(seed)
        return original(sampler, choice, seed)

    original = Sampler.draw
    monkeypatch.setattr(Sampler, "draw", draw)
    with pytest.raises(type(stop)):
        generate(request(trained("model=dcgan").path, count=2, seed=[1, 2], output=str(tmp_path / "new" / "made")))
    assert drawn
    assert not list(tmp_path.iterdir())


def test_uniform_latents_are_walked_in_straight_lines(tmp_path: Path) -> None:
    run = start(
        tmp_path, "data=stacked_digits", "data.train_size=16", "data.val_size=8", "data.test_size=8",
        "data.batch_size=8", "model=stacked_small", "model.generator.latents=uniform", "trainer.max_steps=1",
    )  # fmt: skip
    written = images(generate(request(run.path, count=2, walk=3, npz=True)))
    assert written.shape == (1, 5, 28, 28, 3)
    straight = images(generate(request(run.path, count=2, walk=3, npz=True, interpolation="linear")))
    assert numpy.array_equal(written, straight)
    for options in ({"interpolation": "spherical", "walk": 3}, {"truncation": 0.5}):
        with pytest.raises(InputError, match=next(iter(options))):
            generate(request(run.path, count=2, **options))


def test_the_exported_generator_is_the_checkpoints(trained: Callable[..., RunFolder]) -> None:
    run = trained("model=dcgan", "stabilize=ema")
    file = newest_whole(run.checkpoints, "last")
    assert file is not None
    exported, checkpointed = load_generator(run.generator_file), load_generator(file)
    assert exported.training_steps == checkpointed.training_steps == 1
    weights = [each.network.state_dict() for each in (exported, checkpointed)]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def test_a_run_that_trains_on_is_sampled_where_it_is(trained: Callable[..., RunFolder], tmp_path: Path) -> None:
    """The exported generator is of before."""
    run = RunFolder(shutil.copytree(trained("model=dcgan").path, tmp_path / "run"))
    assert find_weights(run.path) == run.generator_file
    run.history.add("resumed", training_step=1, slurm_job=None)
    assert find_weights(run.path) == newest_whole(run.checkpoints, "last")
    shutil.rmtree(run.checkpoints)
    assert find_weights(run.path) == run.generator_file


def test_a_checkpoint_that_was_altered_is_refused(trained: Callable[..., RunFolder], tmp_path: Path) -> None:
    contents = checkpoint(trained("model=dcgan"))
    contents["config"]["model"]["generator"] = {"_target_": "gans.models.autoencoder.AutoencoderGenerator"}
    VerifiedCheckpointIO().save_checkpoint(contents, checkpoint_path(tmp_path, "last", 1))
    (path,) = tmp_path.iterdir()
    with pytest.raises(InputError, match=path.name):  # the weights are another network's
        generate(request(path))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match="damaged"):
        generate(request(path))


DCGAN = "gans.models.dcgan.DCGANGenerator"
HOSTILE = {
    "foreign": {"_target_": "os.mkdir", "path": "owned"},
    "through": {"_target_": "gans.files.os.mkdir", "path": "owned"},
    "process": {"_target_": "subprocess.Popen", "args": ["mkdir", "owned"]},
    "hub": {"_target_": "torch.hub.load", "repo_or_dir": "x", "model": "y"},
    "loader": {"_target_": "torch.nn.modules.module.torch.load", "f": "payload.pt", "weights_only": False},
    "class": {"_target_": "gans.run.folder.Path", "path": "owned"},
    "inner": {"_target_": DCGAN, "latent_size": {"_target_": "os.mkdir", "path": "owned"}},
    "inside": {"_target_": DCGAN, "latent_size": {"_target_": "gans.run.output.new_folder"}},
    "arguments": {"_target_": DCGAN, "_args_": ["owned"]},
    "partial": {"_target_": "functools.partial", "_args_": ["os.mkdir"]},
    "no_generator": {"_target_": "torch.nn.Linear", "in_features": 1, "out_features": 1},
    "number": {"_target_": 5},
    "nothing": {},
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
def test_a_file_that_names_other_code_is_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, suffix: str
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(Payload(), "payload.pt")
    config = {"model": {"generator": HOSTILE[name]}, "data": {"digits": [1]}}
    path = tmp_path / f"file{suffix}"
    if suffix == ".ckpt":
        contents = {"state_dict": {}, "config": config, "training_steps": 1, "sampling_generator": "generator"}
        torch.save(contents, path)
    else:
        save_file({"a": torch.zeros(1)}, path, {"format": FORMAT, "config": json.dumps(config), "training_steps": "1"})
    with pytest.raises(InputError) as error:
        generate(request(path))
    assert "\n" not in str(error.value)
    assert not (tmp_path / "owned").exists()
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted(["payload.pt", path.name])


def test_files_that_are_no_generator_are_named(tmp_path: Path) -> None:
    odd: dict[str, Any] = {
        "payload.ckpt": Payload(),
        "dictionary.ckpt": {"a": 1},
        "empty.ckpt": {"state_dict": {}, "config": {}, "training_steps": 1},
        "list.ckpt": {"state_dict": {}, "config": {"model": []}, "training_steps": 1},
        "state.ckpt": {"state_dict": [], "config": {}, "training_steps": 1},
    }
    for name, contents in odd.items():
        torch.save(contents, tmp_path / name)
    metadata = {"format": FORMAT, "config": "{", "training_steps": "1"}
    save_file({"a": torch.zeros(1)}, tmp_path / "broken.safetensors", metadata)
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    (tmp_path / "text.safetensors").write_text("nothing")
    (tmp_path / "folder").mkdir()
    RunFolder.create(tmp_path / "folder", {"data": {}})
    (tmp_path / "no run").mkdir()
    for path in (*sorted(tmp_path.iterdir()), tmp_path / "nowhere"):
        with pytest.raises(InputError, match=path.name) as error:
            load_generator(path) if path.is_file() else generate(request(path))
        assert "\n" not in str(error.value), path


def test_a_part_that_a_conditional_network_lacks_is_named() -> None:
    """A network of the user's own may write embed without generate, or neither."""
    network, classes = ConditionalGenerator(), torch.zeros(2, dtype=torch.long)
    with pytest.raises(InputError, match="embed"):
        network.embed(classes)
    with pytest.raises(InputError, match="generate"):
        network.generate(torch.zeros(2, 4), torch.zeros(2, 4))
