"""The files of figures."""

import html
import os
import re
import warnings
from pathlib import Path

import matplotlib
import numpy
import pytest
from matplotlib.figure import Figure
from PIL import Image

from gans.config.build import build_figures
from gans.errors import InputError, InterruptedTraining
from gans.figures import Draw, draw
from gans.figures.files import FigureFolder, Format, one_line_for_missing_letters
from gans.run import commands
from gans.run.folder import RunFolder
from gans.run.stops import say_how_to_repeat
from tests.configs import run_config
from tests.figures.folders import curves_of, fake_run, image_samples, point_samples
from tests.run.runs import start, tiny

FORMATS: tuple[Format, ...] = ("png", "svg", "pdf")


@pytest.mark.slow
def test_every_figure_is_saved_in_every_format_and_films_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    run = fake_run(tmp_path / "run", curves=curves_of(3), samples=image_samples(2, 4))
    figures = build_figures(run_config("figure=[curves,grids,neighbours]"))
    files = draw(run, figures, FORMATS).files
    assert not caplog.records
    assert sorted(files) == sorted(run.figures.iterdir())
    still = {file.stem for file in files} - {"film"}
    assert {file.name for file in files} == {f"{name}.{suffix}" for name in still for suffix in FORMATS} | {"film.gif"}
    written = {file: file.read_bytes() for file in files}
    draw(run, figures, FORMATS)
    assert written == {file: file.read_bytes() for file in files}
    for file, contents in written.items():
        assert not re.search(rb"CreationDate|<dc:date>|tIME", contents), file
    assert "generator, training steps" in (run.figures / "losses.svg").read_text()
    assert b"/Type3" not in written[run.figures / "losses.pdf"]


@pytest.mark.slow
def test_many_points_make_no_large_files(tmp_path: Path) -> None:
    random = numpy.random.default_rng(0)
    curves = {"train/generator_loss": dict(enumerate(random.random(100_000).tolist()))}
    many = point_samples(2, steps=(0,), count=100_000)
    run = fake_run(tmp_path / "run", "model=mlp", curves=curves, samples=many)
    for file in draw(run, build_figures(run_config("figure=[curves,plane]")), FORMATS).files:
        assert file.stat().st_size < 1_000_000, file


@pytest.mark.slow
def test_figures_without_data_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = fake_run(tmp_path / "run", curves=curves_of(3))
    config = run_config("figure=[curves,modes,plane]")
    assert draw(run, build_figures(config)).without_data == ["modes", "plane"]
    commands.redraw(run, config)
    assert capsys.readouterr().out.rstrip().endswith("no data for modes, plane")


def test_a_figure_replaces_no_other_one(tmp_path: Path) -> None:
    """Such as one of the user's own that saves under the name of another one."""
    run = fake_run(tmp_path / "run", curves=curves_of(3))
    figures = build_figures(run_config("figure=[curves]"))
    drawn = draw(run, figures | {"mine": figures["curves"]}, ["png"])
    assert [type(error) for error in drawn.failed.values()] == [InputError]
    assert "mine" in drawn.failed
    assert len({*drawn.files}) == len(drawn.files)


def test_a_run_is_drawn_again_without_its_data_or_checkpoints(tmp_path: Path) -> None:
    run = fake_run(tmp_path / "run", "figure=none", curves=curves_of(3))
    kept = run.config_file.read_bytes()
    commands.redraw(run, run_config("figure=[curves]", "formats=[svg]"))
    assert {file.name for file in run.figures.iterdir()} == {"losses.svg", "accuracy.svg"}
    assert run.config_file.read_bytes() == kept
    with pytest.raises(InputError, match="modes"):
        commands.redraw(run, run_config("figure=[modes]"))


@pytest.mark.slow
def test_a_runs_own_figures_are_drawn_again(tmp_path: Path) -> None:
    """But for functions of others that nobody trusts; a run without figures gets the command's."""
    run = fake_run(tmp_path / "run", "figure=[curves]", curves=curves_of(3))
    commands.redraw(run, run_config("figure=[modes]"), own_figures=True)
    assert {file.name for file in run.figures.iterdir()} == {"losses.png", "accuracy.png"}
    fancy = fake_run(tmp_path / "fancy", "figure=[curves]", "formats=[svg]", curves=curves_of(3))
    commands.redraw(fancy, run_config("formats=[pdf]"), own_figures=True, own_formats=True)
    assert {file.suffix for file in fancy.figures.iterdir()} == {".svg"}
    bare = fake_run(tmp_path / "bare", "figure=none", curves=curves_of(3))
    commands.redraw(bare, run_config("figure=[curves]"), own_figures=True)
    assert len([*bare.figures.iterdir()]) == 2
    own = RunFolder.create(run.path, dict(run.config) | {"figure": {"mine": {"_target_": "stranger.draw"}}})
    with pytest.raises(InputError, match=r"trust=\[stranger\]"):
        commands.redraw(own, run_config("figure=[curves]"), own_figures=True)


class Unexpected(Exception):
    """An error that nothing expects."""


def break_figures(patch: pytest.MonkeyPatch, **errors: Exception) -> None:
    """Let figures save a file and then raise."""

    def broken(name: str, error: Exception) -> Draw:
        def draw(_: RunFolder, folder: FigureFolder) -> None:
            folder.save(f"half_of_{name}", Figure())
            raise error

        return draw

    for name, error in errors.items():
        patch.setattr(f"gans.figures.{name}.draw", broken(name, error))


def test_a_figure_that_fails_leaves_a_finished_run_and_all_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("trainer.max_steps=1", "figure=[data_set,metrics,curves]", "formats=[svg]", f"runs={tmp_path}")
    config = run_config(*tiny(*options))
    with monkeypatch.context() as patch:
        break_figures(patch, data_set=Unexpected("two\nlines"), metrics=OSError("no more"))
        run = commands.start(config, "run")
        told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
        for line, name, why in zip(told, ("data_set", "metrics"), ("two lines", "no more"), strict=True):
            assert all(part in line for part in (name, why, f"draw={run.path}", f"figure=[{name}]"))
        commands.test(run, config)
    assert run.history.last == "finished"
    assert (run.figures / "losses.svg").is_file()


@pytest.mark.slow
def test_an_error_in_a_figure_is_raised_by_draw_after_all_others_are_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = fake_run(tmp_path / "run", curves=curves_of(3), samples=image_samples(2, 4))
    break_figures(monkeypatch, data_set=Unexpected("first"), grids=InputError("second"))
    with pytest.raises(Unexpected, match="first"):
        commands.redraw(run, run_config("figure=[data_set,grids,curves]"))
    assert (run.figures / "losses.png").is_file()
    told = capsys.readouterr().err
    assert "second" in told
    assert "first" not in told
    with pytest.raises(InputError, match="second"):
        commands.redraw(run, run_config("figure=[grids]"))


@pytest.mark.parametrize("name", ["a.png", "a.svg", "a.pdf", "film.gif"])
def test_a_stopped_drawing_leaves_the_figure_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def draw_one(size: int) -> None:
        folder = FigureFolder(tmp_path, [each for each in FORMATS if name.endswith(each)])
        if name == "film.gif":
            folder.save_film("film", [Image.new("L", (size, size))] * 2)
        else:
            folder.save("a", Figure(figsize=(size, size)))

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    draw_one(2)
    (file,) = tmp_path.iterdir()
    assert file.name == name
    before = file.read_bytes()
    monkeypatch.setattr(os, "fsync", stop)
    with (
        pytest.raises(InterruptedTraining, match=r"^stopped by SIGINT while drawing. Repeat it with: .*draw"),
        say_how_to_repeat("python train.py draw=run", "while drawing"),
    ):
        draw_one(3)
    assert [*tmp_path.iterdir()] == [file]
    assert file.read_bytes() == before


def test_the_formats_are_an_option_of_a_run(tmp_path: Path) -> None:
    run = start(tmp_path, "trainer.max_steps=1", "figure=[grids]", "formats=[pdf,svg]")
    assert {file.suffix for file in run.figures.glob("samples*")} == {".pdf", ".svg"}


@pytest.mark.parametrize("formats", ["[]", "[jpg]", "png", "[png,PDF]", "null"])
def test_other_formats_are_refused(formats: str) -> None:
    with pytest.raises(InputError, match="formats"):
        run_config(f"formats={formats}")


NAMES = ["$1", "US$ 10", "a_$x_$", "\\frac$ $", "5 % & #"]


@pytest.mark.parametrize("usetex", [False, True])
def test_names_are_drawn_as_they_are(tmp_path: Path, usetex: bool) -> None:
    """Matplotlib would read what stands between two dollar signs as a formula, and with usetex all text as LaTeX."""
    samples = image_samples(5, 4)
    run = fake_run(tmp_path / "run", samples=samples)
    run.samples_file("data").unlink()
    numpy.savez(run.samples_file("data"), **samples["data"], class_names=numpy.array(NAMES))
    with matplotlib.rc_context({"text.usetex": usetex, "axes.formatter.use_mathtext": True}):
        assert not draw(run, build_figures(run_config("figure=[data_set,modes]")), ["svg"]).failed
    for name in ("data", "modes"):
        text = html.unescape((run.figures / f"{name}.svg").read_text())
        assert all(f">{each}<" in text for each in NAMES)


@pytest.mark.parametrize("scale", ["log", "symlog"])
def test_the_labels_of_a_logarithmic_axis_are_numbers(tmp_path: Path, scale: str) -> None:
    figure = Figure()
    figure.subplots().plot([1, 1000])
    figure.axes[0].set_yscale(scale)
    FigureFolder(tmp_path, ["svg"]).save("figure", figure)
    text = (tmp_path / "figure.svg").read_text()
    assert "mathdefault" not in text
    assert all(f">{each}<" in text for each in (1, 10, 100, 1000))


def test_letters_that_the_font_lacks_are_named_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figure = Figure()
    figure.suptitle("日本, fünf, 日本")
    with warnings.catch_warnings(record=True) as others, one_line_for_missing_letters():
        FigureFolder(tmp_path, ["png", "pdf"]).save("figure", figure)
        warnings.warn("mine", stacklevel=1)
    assert [str(each.message) for each in others] == ["mine"]
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert "日本," in printed
    assert "ü" not in printed
