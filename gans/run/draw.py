"""The verdict and the figures of a run."""

from collections.abc import Mapping

from gans.config.build import build_figures
from gans.config.schema import RunConfig
from gans.config.shell import shell_command
from gans.data.progress import ProgressBar
from gans.errors import one_line, warn
from gans.figures import Drawn, draw
from gans.figures.files import one_line_for_missing_letters
from gans.run.diagnose import diagnose
from gans.run.folder import RunFolder


def diagnose_and_plot(run: RunFolder, config: RunConfig) -> None:
    """Write the verdict, and draw the figures. All else is saved by then, so one that fails ends in a warning."""
    fresh = RunFolder(run.path)  # without cached contents from before training
    diagnose(fresh)
    warn_of_failed(fresh, config, draw_figures(fresh, config).failed)


def draw_figures(run: RunFolder, config: RunConfig) -> Drawn:
    if not config.figure:
        print(f"figures: none; the run is {run.path}")
        return Drawn([], {}, [])
    with ProgressBar("drawing the figures"), one_line_for_missing_letters():
        drawn = draw(run, build_figures(config), config.formats)
    count = f"{len(drawn.files)} file{'s' * (len(drawn.files) != 1)} in {run.figures}"
    lacking = f"; no data for {', '.join(drawn.without_data)}" if drawn.without_data else ""
    print(f"figures: {count if drawn.files or drawn.failed else 'none'}{lacking}", flush=True)
    return drawn


def warn_of_failed(run: RunFolder, config: RunConfig, failed: Mapping[str, Exception]) -> None:
    """Name the figures that could not be drawn, and the commands that draw them again."""
    for name, error in failed.items():
        own = {f"figure.{name}.{key}": value for key, value in config.figure[name].items() if key != "_target_"}
        options = {"draw": str(run.path), "figure": [name], "formats": list(config.formats), **own}
        what = f"the figure {name} could not be drawn ({type(error).__name__}: {one_line(error)})"
        command = shell_command("train.py", options)
        warn(f"{what}; all else is saved. Draw it again with: {command}")
