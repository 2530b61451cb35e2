"""What a run leaves in its folder."""

import json
import shutil
import string
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image, ImageSequence
from safetensors.torch import load_file

from gans.config.build import build_data
from gans.errors import InputError
from gans.run.checkpoint_files import checkpoints_in
from gans.run.folder import RunFolder
from gans.run.output import new_folder, output_folder
from gans.run.rewind import rewind
from gans.run.test_results import read_results
from tests.configs import mostly_slow, narrow, run_config
from tests.run.runs import only_run, points, resume, start, stopped_run

FIGURES = "figure=[curves,data_set,grids,metrics,neighbours,pairs,modes]"


def test_a_run_folder_holds_what_the_readme_says(tmp_path: Path) -> None:
    run = start(
        tmp_path, "model=acgan", *narrow("model=acgan"), "log_every=1", "samples.frames=2", FIGURES, "metric=[fid,kid]"
    )
    assert {path.name for path in run.path.iterdir()} == {
        "checkpoints", "config.yaml", "figures", "generator.safetensors", "metrics.csv", "samples", "tensorboard",
        "test.json", "verdict.json", "versions.json", "floors.json", "history.json", ".lock",
    }  # fmt: skip
    files = [*checkpoints_in(run.checkpoints, "last"), *checkpoints_in(run.checkpoints, "best")]
    assert sorted(run.checkpoints.iterdir()) == sorted(files)
    assert {"python", "packages", "git", "device", "precision"} <= json.loads(run.versions_file.read_text()).keys()

    for player in ("discriminator", "generator"):
        for quantity in ("loss", "adversarial", "class", "accuracy", "class_accuracy"):
            assert run.curves[f"train/{player}_{quantity}"]["step"].tolist() == [1, 2, 3, 4, 5, 6]
            assert run.curves[f"epoch/{player}_{quantity}"]["epoch"].tolist() == [1, 2]
            assert run.curves[f"val/{player}_{quantity}"]["step"].tolist() == [3, 6]
    steps, epochs = (run.curves[f"{kind}/generator_loss"]["value"] for kind in ("train", "epoch"))
    assert epochs == pytest.approx([steps[:3].mean(), steps[3:].mean()], rel=1e-5)
    shown = points(run)
    assert [step for step, _ in shown["samples"]] == [grid.step for grid in run.grids] == [0, 3, 6]
    assert [step for step, _ in shown["train/generator_loss"]] == [1, 2, 3, 4, 5, 6]
    assert shown["epoch"] == [(3, 1.0), (6, 2.0)]
    assert [step for step, _ in shown["test/generator_loss"]] == [6]

    drawn = {path.name for path in run.figures.iterdir()}
    assert {"data.png", "models.txt", "losses.png", "accuracy.png", "metrics.png", "samples.png", "film.gif"} <= drawn
    with Image.open(run.figures / "film.gif") as film:
        assert sum(1 for _ in ImageSequence.Iterator(film)) == len(run.grids)


def test_without_figures_nothing_is_drawn(tmp_path: Path) -> None:
    run = start(tmp_path, "figure=none")
    assert [path.name for path in run.figures.iterdir()] == ["models.txt"]


@pytest.mark.parametrize("name", mostly_slow(1, ["jos\u00e9 $HOME {x}", "~/runs", "a::b"]))
def test_a_folder_of_any_name_holds_all_of_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A stopped run is moved there and resumed."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    folder = Path(name)
    folder.parent.mkdir(exist_ok=True)
    shutil.move(stopped_run(tmp_path / "made").path.parent, folder)
    run = resume(only_run(folder))
    assert {path.name for path in tmp_path.iterdir()} == {folder.parts[0]}
    shown = points(run)
    assert [step for step, _ in shown["train/generator_loss"]] == [2, 4, 6]
    for tag, of_tag in shown.items():
        assert len({step for step, _ in of_tag}) == len(of_tag), tag


def test_a_second_run_gets_a_folder_of_its_own(tmp_path: Path) -> None:
    first, second = (start(tmp_path, "trainer.max_steps=1") for _ in range(2))
    assert second.name == f"{first.name}_2"
    assert first.metrics_file.read_text() == second.metrics_file.read_text()


def test_the_autoencoder_is_tested_against_the_exact_answer(tmp_path: Path) -> None:
    run = start(tmp_path, "metric=[reconstruction]", "evaluated_images=10000", "trainer.max_steps=1", "figure=[pairs]")
    results = read_results(run.test_results_file).checkpoints["last"].results
    per_digit = [results[f"mse_of_{digit}_397"] for digit in range(10)]
    counts = build_data(run_config("data=digits")).test_images.labels.bincount().tolist()
    weighted = sum(value * count for value, count in zip(per_digit, counts, strict=True)) / 397
    assert results["mse_397"] == pytest.approx(weighted, rel=1e-5)
    assert run.pairs is not None
    answers, inputs = (run.pairs[kind].astype(int) for kind in ("answers", "inputs"))
    assert abs(answers + inputs - 255).max() <= 1  # the exact answer to x is 1 - x
    assert (run.figures / "pairs.png").is_file()


@pytest.mark.parametrize("supported", [True, False])
def test_half_precision_is_an_option(
    tmp_path: Path, supported: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Weights stay float32. Where the CPU has to emulate it, a line says so."""
    monkeypatch.setattr("gans.run.train.emulates_bfloat16", lambda _: not supported)
    run = start(tmp_path, "trainer.precision=bf16-mixed", "trainer.max_steps=1")
    assert {str(value.dtype) for value in load_file(run.generator_file).values()} == {"torch.float32"}
    assert ("bfloat16" in capsys.readouterr().err) is not supported


@pytest.mark.parametrize("path", [Path("."), Path("/"), Path("a/..")])
def test_a_folder_that_exists_without_a_name_is_no_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: Path
) -> None:
    """As of ``output=.``"""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="new"):
        new_folder(path.parent, path.name)
    assert not list(tmp_path.iterdir())


def test_folders_are_numbered(tmp_path: Path) -> None:
    folders = [new_folder(tmp_path / "runs", "a") for _ in range(11)]
    assert [folder.name for folder in folders] == ["a", *(f"a_{number}" for number in range(2, 12))]


TEXT = st.text(st.characters(exclude_categories=("C", "Zl", "Zp")))
VALUES = st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT, st.lists)


def test_a_folder_is_not_named_as_a_file(tmp_path: Path) -> None:
    """Such as ``output=digits.onnx``; a version is no ending of a file."""
    for name in ("digits.onnx", "a/digits.NPZ"):
        with pytest.raises(InputError, match=f"use output={tmp_path / name}".rpartition(".")[0] + "$"):
            output_folder(str(tmp_path / name), tmp_path, "made")
    assert output_folder(str(tmp_path / "v1.2"), tmp_path, "made") == tmp_path / "v1.2"


@pytest.mark.slow
@example({"a": "${"})  # no interpolation of OmegaConf
@given(st.dictionaries(st.text(string.ascii_lowercase, min_size=1), VALUES | st.dictionaries(st.just("a"), VALUES)))
def test_a_config_is_read_as_it_was_written(config: dict[str, Any]) -> None:
    with TemporaryDirectory() as folder:
        assert RunFolder.create(Path(folder), config).config == config


def test_a_checkpoint_stands_for_its_run_even_if_it_is_not_there(tmp_path: Path) -> None:
    run = RunFolder.create(new_folder(tmp_path, "run"), {})
    assert RunFolder.around(run.path / "checkpoints" / "last.ckpt").path == run.path
    with pytest.raises(InputError, match="typo"):
        RunFolder.around(run.path / "typo")


def test_a_folder_without_a_config_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=str(tmp_path)):
        RunFolder(tmp_path)


def test_a_run_that_goes_back_has_no_grids_of_later_steps(tmp_path: Path) -> None:
    run = start(tmp_path, "samples.frames=6")
    rewind(run, {"training_steps": 4, "file_positions": {"rows": 0, "events": {}}})
    assert [grid.step for grid in RunFolder(run.path).grids] == [0, 1, 2, 3, 4]
