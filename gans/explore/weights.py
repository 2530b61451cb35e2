"""The constants of programs as bytes: float16 where there are many values, float32 where there are few."""

import math
from collections.abc import Mapping
from typing import Any

import numpy
import torch
from torch import Tensor, nn

from gans.explore.program import Program

FEW = 2048
"""So many values, or fewer, stay float32: biases, scales and shifts cost little and weigh much."""


def pack(programs: Mapping[str, Program]) -> tuple[dict[str, Any], bytes]:
    """What ``page_files/network.js`` loads: each program as plain values, and the bytes of all constants."""
    content = bytearray()
    packed = {}
    for name, program in programs.items():
        constants = []
        for slot, values in program.constants.items():
            content += b"\0" * (-len(content) % 4)
            place: dict[str, Any] = {"slot": slot, "offset": len(content), "count": values.numel()}
            if values.numel() <= FEW:
                constants.append(place | {"type": "float32"})
                content += values.numpy().astype("<f4").tobytes()
            else:
                scale = scale_of(values)
                constants.append(place | {"type": "float16", "scale": scale})
                content += (values / scale).numpy().astype("<f2").tobytes()
        packed[name] = {
            "inputs": program.inputs,
            "constants": constants,
            "steps": program.steps,
            "output": program.output,
        }
    return packed, bytes(content)


def scale_of(values: Tensor) -> float:
    """The power of 2 by which values are divided to lie in (-1, 1), where float16 is precise."""
    largest = float(values.abs().max())
    return 2.0 ** math.ceil(math.log2(largest)) if 0 < largest < math.inf else 1.0


@torch.no_grad()
def round_weights(network: nn.Module) -> None:
    """Round a network's weights in place, as ``pack`` does."""
    for weight in network.parameters():
        if weight.numel() > FEW:
            scale = scale_of(weight)
            weight.copy_(torch.from_numpy((weight / scale).numpy().astype(numpy.float16).astype(numpy.float32)) * scale)
