"""Exported generators make the images that PyTorch makes, and nothing is left of those that do not."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gans.config.schema import ExploreConfig, ExportConfig
from gans.data.batches import Batch
from gans.errors import InputError
from gans.explore.write import explore
from gans.export.facts import facts_of
from gans.export.formats import FORMATS, Safetensors
from gans.export.network import Exportable
from gans.export.write import TOLERANCE, difference_from_pytorch, export
from gans.generator import Generator, Inputs
from gans.run.folder import RunFolder
from gans.run.test_results import CheckpointResults, read_results
from gans.run.trained import write_generator
from gans.update import NO_CLASS
from tests.configs import composed, mostly_slow
from tests.export.trained import POINT_MODELS, WITH_EMA, loaded, request, trained_run
from tests.run.runs import stopped_run

TESTED = ("dcgan", "metric=fid")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., RunFolder]:
    made: dict[tuple[str, ...], RunFolder] = {}

    def run(*options: str) -> RunFolder:
        if options not in made:
            made[options] = trained_run(tmp_path_factory.mktemp("exported"), *options)
        return made[options]

    return run


def use(card: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the Python code of a model card makes in the folder of the card."""
    code = re.search(r"```python\n(.*?)```", card.read_text(encoding="utf-8"), re.DOTALL)
    assert code
    assert code[1].count("\n") <= 5
    monkeypatch.chdir(card.parent)
    made: dict[str, Any] = {}
    with torch.no_grad():
        exec(code[1], made)
    return made


@pytest.mark.parametrize("name", mostly_slow(2, sorted(FORMATS, reverse=True)))
def test_a_file_holds_the_generator_and_its_card_says_how_to_use_it(
    trained: Callable[..., RunFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    run = trained(*TESTED)
    made = export(request(ExportConfig, run.path, format=name, output=str(tmp_path / "out")))
    assert made.difference <= TOLERANCE
    assert sorted(made.file.parent.iterdir()) == sorted([made.file, made.card])
    assert use(made.card, monkeypatch)["images"].shape == (16, 1, 28, 28)
    text = made.card.read_text(encoding="utf-8")
    results = read_results(run.test_results_file)
    (figure,) = (name for name in results.floors if name.startswith("fid"))
    row = next(line for line in text.splitlines() if f"`{figure}`" in line)
    assert f"{results.checkpoints['last'].results[figure]:.4g}" in row
    assert f"{results.floors[figure]:.4g}" in row
    pixels = "[-1.0, 1.0]" if name == "safetensors" else "[0, 1]"
    assert f"float32: images in {pixels}" in text
    for said in ("Digits(", "2, of 8 samples", "KerasAdam(", "BinaryCrossEntropy(", "seed: 0", "torch 2", "Licence"):
        assert said in text


class Exponential(Generator):
    """A generator of one's own, with latents of its own."""

    has_normal_latents = False
    pixel_range = (0.0, 1.0)

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 4), nn.Sigmoid(), nn.Unflatten(1, (1, 2, 2)))

    def forward(self, latents: Tensor) -> Tensor:
        return self.layers(latents)

    def inputs(self, count: int, random: torch.Generator, batch: Batch | None, classes: Tensor | None = None) -> Inputs:
        latents = torch.empty(count, 3).exponential_(generator=random)
        return Inputs((latents,), torch.full((count,), NO_CLASS))


def test_of_a_generator_of_ones_own_no_more_is_said_than_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its code has to be trusted, and its latents are neither normal nor uniform."""
    config, file = composed("data=digits", "model=dcgan"), tmp_path / "own.safetensors"
    config["model"]["generator"] = {"_target_": f"{__name__}.{Exponential.__name__}"}
    write_generator(Exponential(), config, 2, file)
    options = {"trust": ["tests"], "output": str(tmp_path / "out")}
    made = export(request(ExportConfig, file, format="safetensors", **options))
    assert use(made.card, monkeypatch)["images"].shape == (16, 1, 2, 2)
    text = made.card.read_text(encoding="utf-8")
    assert "uniform" not in text
    assert "N(0, 1)" not in text
    with pytest.raises(InputError, match="Exponential draws its latents"):
        explore(request(ExploreConfig, file, **options))


@pytest.mark.slow
@pytest.mark.parametrize(("model", "stabilizer"), WITH_EMA)
def test_every_model_of_images_becomes_onnx(
    trained: Callable[..., RunFolder],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    stabilizer: str,
) -> None:
    run = trained(model, f"stabilize={stabilizer}")
    made = export(request(ExportConfig, run.path, output=str(tmp_path / "out")))
    print(f"{model} {stabilizer}: ONNX differs by {made.difference:.1e}")
    images = use(made.card, monkeypatch)["images"]
    assert images.shape[0] == 16
    assert images.min() >= 0
    assert images.max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize("model", POINT_MODELS)
@pytest.mark.parametrize("name", FORMATS)
def test_models_of_points_are_exported_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, name: str
) -> None:
    run = trained_run(tmp_path / "runs", model)
    made = export(request(ExportConfig, run.path, format=name))
    assert made.file.parent == run.path / "exported"
    assert use(made.card, monkeypatch)["points"].ndim == 2


class DividesByDeviation(Safetensors):
    """Makes no number of a sample alone, as a network that divides by the deviation within a batch."""

    def run(self, path: Path, made: Exportable, inputs: tuple[Tensor, ...]) -> Tensor:
        images = super().run(path, made, inputs)
        return images if len(images) > 1 else torch.full_like(images, torch.nan)


def test_what_is_wrong_with_a_sample_alone_is_noticed(trained: Callable[..., RunFolder], tmp_path: Path) -> None:
    made, path = loaded(trained(*TESTED)), tmp_path / "file.safetensors"
    DividesByDeviation().write(made, path)
    assert not difference_from_pytorch(DividesByDeviation(), path, made) <= TOLERANCE


@pytest.mark.parametrize("name", mostly_slow(2, sorted(FORMATS, reverse=True)))
def test_a_changed_weight_is_noticed(trained: Callable[..., RunFolder], tmp_path: Path, name: str) -> None:
    made, path = loaded(trained(*TESTED)), tmp_path / f"file{FORMATS[name].suffix}"
    FORMATS[name].write(made, path)
    assert difference_from_pytorch(FORMATS[name], path, made) <= TOLERANCE
    with torch.no_grad():
        next(made.generator.parameters())[0] += 0.1
    assert difference_from_pytorch(FORMATS[name], path, made) > TOLERANCE


def test_a_file_that_differs_is_refused_and_nothing_is_left(
    trained: Callable[..., RunFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trained(*TESTED)
    torchscript = FORMATS["torchscript"]
    honest = torchscript.run
    monkeypatch.setattr(torchscript, "run", lambda *arguments: honest(*arguments) + 2e-5)
    with pytest.raises(InputError, match="differs"):
        export(request(ExportConfig, run.path, format="torchscript", output=str(tmp_path / "new" / "out")))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("when", ["the trial", "the end"])
def test_a_full_disk_is_named_and_leaves_no_folder(
    trained: Callable[..., RunFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    run = trained(*TESTED)
    owner = FORMATS["safetensors"] if when == "the trial" else sys.modules[export.__module__]
    monkeypatch.setattr(owner, "write" if when == "the trial" else "write_text", full)
    with pytest.raises(OSError, match=r"generator.safetensors" if when == "the trial" else "out"):
        export(request(ExportConfig, run.path, format="safetensors", output=str(tmp_path / "new" / "out")))
    assert not list(tmp_path.iterdir())


def test_a_file_that_its_runtime_refuses_is_refused_too(
    trained: Callable[..., RunFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FORMATS["onnx"], "write", lambda _, path: path.write_bytes(b"no network"))
    with pytest.raises(InputError, match="format=onnx") as error:  # and not an error of onnxruntime's own
        export(request(ExportConfig, trained(*TESTED).path, output=str(tmp_path / "out")))
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_bad_input_is_refused_in_one_line(
    trained: Callable[..., RunFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trained(*TESTED)
    (tmp_path / "file").touch()
    untrained = RunFolder.create(tmp_path, {"data": {}, "model": {}})
    refused = {
        "nowhere": lambda: request(ExportConfig, tmp_path / "nowhere"),
        "no trained generator": lambda: request(ExportConfig, untrained.path),
        "format=pickle": lambda: request(ExportConfig, run.path, format="pickle"),
        "can't be written": lambda: request(ExportConfig, run.path, output=str(tmp_path / "file" / "out")),
    }
    for said, asked in refused.items():
        with pytest.raises(InputError, match=said) as error:
            export(asked())
        assert "\n" not in str(error.value)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match=r"\[export\]"):
        export(request(ExportConfig, run.path))


def test_figures_are_those_of_the_exported_moment(trained: Callable[..., RunFolder]) -> None:
    run = trained(*TESTED)
    made = loaded(run)
    assert facts_of(made, run).figures
    assert facts_of(made, None).figures == []
    results = read_results(run.test_results_file)
    other = {"last": CheckpointResults(training_steps=7, results=results.checkpoints["last"].results)}
    kept = run.test_results_file.read_bytes()
    try:
        results.model_copy(update={"checkpoints": other}).write(run.test_results_file)
        assert facts_of(made, run).figures == []
    finally:
        run.test_results_file.write_bytes(kept)


def test_figures_of_single_classes_are_left_out_and_names_that_look_alike_are_not(
    trained: Callable[..., RunFolder],
) -> None:
    run = trained(*TESTED)
    made, results = loaded(run), read_results(run.test_results_file)
    figures = dict.fromkeys(("share_of_ink_70", "top_5_70", "mse_of_3_70", "class_share_3_70_digits1"), 0.5)
    tested = {"last": CheckpointResults(training_steps=made.training_steps, results=figures)}
    changed, kept = results.model_copy(update={"checkpoints": tested}), run.test_results_file.read_bytes()
    assert list(changed.table("run").columns[0].cells)[:2] == ["share_of_ink", "top_5"]
    assert len(changed.table("run").rows) == 2
    try:
        changed.write(run.test_results_file)
        assert [figure.name for figure in facts_of(made, run).figures] == ["share_of_ink_70", "top_5_70"]
    finally:
        run.test_results_file.write_bytes(kept)


@pytest.mark.slow
def test_a_stopped_run_is_exported_from_its_checkpoint(tmp_path: Path) -> None:
    run = stopped_run(tmp_path)
    made = export(request(ExportConfig, run.path, format="safetensors"))
    assert made.difference <= TOLERANCE
    assert "5 training steps" in made.card.read_text(encoding="utf-8")
