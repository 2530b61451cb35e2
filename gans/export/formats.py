"""The formats in which a trained generator is written, and how each is read again."""

import io
import logging
import warnings
from abc import ABC, abstractmethod
from importlib import import_module
from pathlib import Path

import torch
from torch import Tensor

from gans.errors import InputError
from gans.export.network import Exportable, exportable
from gans.files import replacing
from gans.run.trained import load_generator, write_generator

OPSET = 18
"""ONNX's version of operations, which onnxruntime 1.14 and later know."""


class Format(ABC):
    """A format of files."""

    suffix: str
    usage: str
    """How a file is used, in at most five lines of Python. ``{file}`` is its name, ``{inputs}`` a dictionary with an
    array for each input, ``{tensors}`` the inputs as tensors, ``{output}`` the name of the output, ``{trust}`` an
    argument that names packages of the user's own."""

    packages: tuple[str, ...] = ()
    """What it needs of the extra ``export``."""
    keeps_pixel_range: bool = False
    """Whether a file so used makes images in the network's own range of pixels, not in [0, 1]."""

    def require(self) -> None:
        """An InputError if a package is missing."""
        try:
            for name in self.packages:
                import_module(name)
        except ImportError as error:
            raise InputError(f"this format needs the package {error.name}: pip install -e '.[export]'") from error

    @abstractmethod
    def write(self, made: Exportable, path: Path) -> None:
        """Write the file."""

    @abstractmethod
    def run(self, path: Path, made: Exportable, inputs: tuple[Tensor, ...]) -> Tensor:
        """What the network in a file makes of inputs."""


class Onnx(Format):
    suffix = ".onnx"
    usage = """\
import numpy, onnxruntime
session = onnxruntime.InferenceSession("{file}")
({output},) = session.run(None, {inputs})"""
    packages = ("onnx", "onnxruntime", "onnxscript")

    def write(self, made: Exportable, path: Path) -> None:
        for name in ("onnxscript", "onnx_ir", "torch.onnx"):
            logging.getLogger(name).setLevel(logging.WARNING)
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of the exporter's own code
            torch.onnx.export(
                made.network,
                made.inputs(2),
                path,
                dynamo=True,
                verbose=False,
                external_data=False,
                opset_version=OPSET,
                input_names=made.input_names,
                output_names=[made.output_name],
                dynamic_shapes=(tuple({0: torch.export.Dim.DYNAMIC} for _ in made.input_names),),
            )

    def run(self, path: Path, made: Exportable, inputs: tuple[Tensor, ...]) -> Tensor:
        runtime = import_module("onnxruntime")
        session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        arrays = {name: value.numpy() for name, value in zip(made.input_names, inputs, strict=True)}
        return torch.from_numpy(session.run([made.output_name], arrays)[0])


class TorchScript(Format):
    suffix = ".pt"
    usage = """\
import torch
network = torch.jit.load("{file}")
{output} = network({tensors})"""

    def write(self, made: Exportable, path: Path) -> None:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # TorchScript is deprecated, and asked for
            torch.jit.save(torch.jit.trace(made.network, made.inputs(2)), content := io.BytesIO())
        with replacing(path) as file:  # PyTorch does not say why it can't write to one
            file.write(content.getvalue())

    def run(self, path: Path, made: Exportable, inputs: tuple[Tensor, ...]) -> Tensor:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # TorchScript is deprecated, and asked for
            return torch.jit.load(path)(*inputs)


class Safetensors(Format):
    suffix = ".safetensors"
    usage = """\
from pathlib import Path
import torch
from gans.run.trained import load_generator
network = load_generator(Path("{file}"){trust}).network
{output} = network({tensors}){range}"""
    keeps_pixel_range = True

    def write(self, made: Exportable, path: Path) -> None:
        write_generator(made.generator, made.config, made.training_steps, path)

    def run(self, path: Path, made: Exportable, inputs: tuple[Tensor, ...]) -> Tensor:
        with torch.no_grad():
            return exportable(load_generator(path, made.trust)).network(*inputs)


FORMATS: dict[str, Format] = {"onnx": Onnx(), "torchscript": TorchScript(), "safetensors": Safetensors()}
