"""``export.py``: write a trained generator, check the file against PyTorch, and describe it in a model card."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from gans.config.schema import ExportConfig
from gans.data.progress import ProgressBar
from gans.errors import InputError, one_line
from gans.export.facts import facts_of
from gans.export.formats import FORMATS, Format
from gans.export.model_card import model_card
from gans.export.network import TRIED, Exportable, exportable
from gans.files import replacing, write_text
from gans.run.folder import run_of
from gans.run.output import new_whole_folder, output_folder
from gans.run.trained import find_weights, load_generator

TOLERANCE = 1e-5
"""The largest difference of a pixel in [0, 1] between the file and PyTorch."""


@dataclass(frozen=True)
class Exported:
    file: Path
    card: Path
    difference: float
    """The largest difference from PyTorch that was found."""


def export(request: ExportConfig) -> Exported:
    """Write the generator and ``model_card.md`` to a new folder; nothing if the file does not agree with PyTorch.

    Raises:
        InputError: if there is no trained generator, a package is missing, or the format can't hold the network.
    """
    file_format = FORMATS[request.format]
    file_format.require()
    path = Path(request.run)
    file = find_weights(path)
    made = exportable(load_generator(file, request.trust), request.trust)
    run = run_of(path)
    output = output_folder(request.output, path, "exported")
    facts = facts_of(made, run)
    with TemporaryDirectory() as temporary, ProgressBar("exporting"):
        written = Path(temporary) / f"generator{file_format.suffix}"
        try:
            file_format.write(made, written)
            difference = difference_from_pytorch(file_format, written, made)
        except InputError:
            raise
        except OSError as error:  # such as of a full disk, which names no file
            error.filename = error.filename or str(written)
            raise
        except Exception as error:  # exporters and runtimes have errors of their own for what they do not know
            name = type(made.generator).__name__
            raise InputError(f"format={request.format} can't hold {name}: {one_line(error)}") from error
        if not difference <= TOLERANCE:
            raise InputError(
                f"format={request.format}: what the file makes differs by {difference:.2g} from what PyTorch makes, "
                f"more than {TOLERANCE:g}, so it was not kept: use format=safetensors"
            )
        content = written.read_bytes()
    card = model_card(made, facts, file_format, written.name, difference)
    with new_whole_folder(output) as folder:
        with replacing(folder / written.name) as target:
            target.write(content)
        write_text(folder / "model_card.md", card)
    return Exported(folder / written.name, folder / "model_card.md", difference)


def difference_from_pytorch(file_format: Format, path: Path, made: Exportable) -> float:
    """The largest difference over random samples, in one batch and alone."""
    inputs = made.inputs(TRIED)
    with torch.no_grad():
        expected = made.network(*inputs)
    whole = file_format.run(path, made, inputs)
    alone = file_format.run(path, made, tuple(value[:1] for value in inputs))
    if whole.shape != expected.shape:
        return float("inf")
    return float(torch.maximum((whole - expected).abs().max(), (alone - expected[:1]).abs().max()))  # NaN stays
