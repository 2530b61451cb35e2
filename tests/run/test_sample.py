"""Images from trained generators, and files that are none."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from gans.errors import InputError
from gans.run import sample
from gans.run.checkpoint_files import VerifiedCheckpointIO, checkpoint_path, newest_whole
from gans.run.export import FORMAT, load_generator
from gans.run.folder import RunFolder
from gans.run.sample import generate
from tests.conftest import narrow
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
            made[overrides] = start(tmp_path_factory.mktemp("trained"), "trainer.max_steps=1", *overrides)
        return made[overrides]

    return run


def test_images_are_written_in_each_form_and_depend_on_the_seed_alone(trained: Callable[..., RunFolder]) -> None:
    run = trained("model=dcgan")
    first = generate(request(run.path, count=7, npz=True, pngs=True))
    assert first == run.path / "generated"
    assert images(first).shape == (7, 28, 28)
    assert numpy.array_equal(images(first)[6], numpy.asarray(Image.open(first / "0006.png")))
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
    monkeypatch.setattr(sample, "draw_samples", None)  # nothing is drawn
    with pytest.raises(InputError, match="file"):
        generate(request(run.path, count=2, output=str(tmp_path / "file" / "new")))


def test_classes_are_chosen_for_a_conditional_gan_only(trained: Callable[..., RunFolder]) -> None:
    conditional = trained("model=acgan", "data.classes=[1,3,7]", *narrow("model=acgan"))
    written = generate(request(conditional.path, classes=[7, 3], count=4, npz=True))
    assert numpy.load(written / "images.npz")["labels"].tolist() == [7, 7, 3, 3]
    for run, classes in ((conditional, [5]), (conditional, []), (trained("model=dcgan"), [5])):
        with pytest.raises(InputError, match="classes"):
            generate(request(run.path, classes=classes))


def test_a_generator_that_transforms_images_is_shown_held_out_ones(trained: Callable[..., RunFolder]) -> None:
    run = trained("model=autoencoder", "data.classes=[8]")
    written = generate(request(run.path, count=12, npz=True))
    assert set(numpy.load(written / "images.npz")["labels"].tolist()) == {8}
    with pytest.raises(InputError, match="count=1000"):
        generate(request(run.path, count=1000))


def test_points_are_drawn_but_are_no_pngs(trained: Callable[..., RunFolder]) -> None:
    run = trained("data=ring", "data.train_size=24", "data.batch_size=8", "model=mlp", "model.generator.width=8")
    assert images(generate(request(run.path, count=9, npz=True))).shape == (9, 2)
    with pytest.raises(InputError, match="pngs"):
        generate(request(run.path, pngs=True))


def test_the_exported_generator_is_the_checkpoints(trained: Callable[..., RunFolder]) -> None:
    run = trained("model=dcgan", "stabilize=ema")
    file = newest_whole(run.checkpoints, "last")
    assert file is not None
    exported, checkpointed = load_generator(run.generator_file), load_generator(file)
    assert exported.training_steps == checkpointed.training_steps == 1
    weights = [each.network.state_dict() for each in (exported, checkpointed)]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


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
    "inside": {"_target_": DCGAN, "latent_size": {"_target_": "gans.run.folder.new_folder"}},
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
