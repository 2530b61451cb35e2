"""The page: HTML with its style, scripts and weights inline. It asks the network for nothing."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import torch
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from numpy.typing import NDArray

from gans.export.facts import Facts
from gans.export.network import Exportable
from gans.run.folder import RunFolder
from gans.run.network_summary import parameter_count

FILES = Path(__file__).parent / "page_files"
HELD_OUT = 20
"""The most input images to choose from."""


@dataclass(frozen=True)
class Scores:
    """The discriminator's mean scores."""

    generated: float
    real: float | None
    """Of training images; None if the run folder has none."""


def render(
    made: Exportable,
    facts: Facts,
    run: RunFolder | None,
    packed: tuple[dict[str, Any], bytes],
    scores: Scores | None,
    no_score: str | None,
    inputs_are_bright: bool,
) -> str:
    """The page as HTML.

    Args:
        packed: the programs and the bytes of their constants.
        no_score: why there is no discriminator; None if there is one.
        inputs_are_bright: whether a generator that transforms images takes mostly bright ones, as the paper to draw on.
    """
    programs, weights = packed
    data = of_generator(made) | {
        "classes": facts.class_names,
        "programs": programs,
        "scores": scores and {"generated": scores.generated, "real": scores.real},
        "held_out": held_out(run) if made.generator.takes_images and run else [],
        "inputs_are_bright": inputs_are_bright,
    }
    environment = Environment(loader=FileSystemLoader(FILES), autoescape=True, undefined=StrictUndefined)
    return environment.get_template("template.html.j2").render(
        facts=facts,
        steps=f"{made.training_steps:,}",
        parameters=f"{parameter_count(made.generator):,}",
        megabytes=f"{len(weights) * 4 / 3 / 1e6:.1f}",
        takes_images=made.generator.takes_images,
        no_score=no_score,
        data=json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"),
        weights=base64.b64encode(weights).decode(),
        css=_file("page.css"),
        worker=_file("product.js") + _file("network.js") + _file("worker.js"),
        js=_file("page.js"),
    )


def of_generator(made: Exportable) -> dict[str, Any]:
    """The names and shapes of what goes in and comes out."""
    inputs = made.inputs(1)
    with torch.no_grad():
        _, channels, height, width = made.network(*inputs).shape
    return {
        "inputs": list(made.input_names),
        "input_sizes": [list(value.shape[1:]) for value in inputs],
        "uniform": made.generator.has_uniform_latents,
        "height": height,
        "width": width,
        "channels": channels,
    }


def held_out(run: RunFolder) -> list[str]:
    """Some input images of a generator that transforms images, from the final test: base64 of their pixels."""
    pairs = run.pairs
    return [_pixels(image) for image in pairs["inputs"][:HELD_OUT]] if pairs else []


def _pixels(image: NDArray[numpy.uint8]) -> str:
    """An image's bytes with channels first."""
    planes = image if image.ndim == 2 else numpy.moveaxis(image, 2, 0)
    return base64.b64encode(planes.tobytes()).decode()


def _file(name: str) -> str:
    return (FILES / name).read_text(encoding="utf-8")
