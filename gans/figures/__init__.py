"""One figure per file, drawn from a run folder alone.

Each module here has ``draw(run, folder) -> list of files it wrote``, empty where the run has nothing to show.
"""

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import matplotlib

from gans.run import Run


def draw_figures(run: Run) -> list[Path]:
    """Every figure that the run has data for, in its ``figures`` folder."""
    matplotlib.use("Agg")
    run.figures.mkdir(exist_ok=True)
    modules = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)]
    return [file for module in modules if hasattr(module, "draw") for file in module.draw(run, run.figures)]
