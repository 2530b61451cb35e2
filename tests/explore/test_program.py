"""Programs: every operation gives in the browser what it gives in PyTorch, and an unknown one is named."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from playwright.sync_api import Browser, Page
from torch import Tensor, nn

from gans.errors import InputError
from gans.explore import page
from gans.explore.program import Program, write_program
from gans.explore.weights import pack, scale_of
from tests.browser import needs_chromium


class Of(nn.Module):
    """A function as a network."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.function(*inputs)


def trained_norm(channels: int) -> nn.Module:
    norm = nn.BatchNorm2d(channels)
    norm(torch.randn(8, channels, 5, 5) * 3 + 1)
    return norm


class Embedded(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 6)

    def forward(self, latents: Tensor, classes: Tensor) -> Tensor:
        first, second = self.embedding(classes)[:, :, None].chunk(2, 1)
        one_hot = F.one_hot(classes, 5).to(latents.dtype)
        return torch.cat((latents, one_hot, (first * second).sum((1, 2))[:, None], first[:, 1]), 1)


def spectral() -> nn.Module:
    return nn.utils.parametrizations.spectral_norm(nn.Conv2d(3, 4, 3))


def image(channels: int, height: int = 6, width: int = 9) -> tuple[Tensor, ...]:
    return (torch.randn(1, channels, height, width),)


def vector(size: int) -> tuple[Tensor, ...]:
    return (torch.randn(1, size),)


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[Tensor, ...]]] = {
    "linear": (lambda: nn.Linear(7, 13), vector(7)),
    "without bias": (lambda: nn.Linear(9, 3, bias=False), vector(9)),
    "convolution": (lambda: nn.Conv2d(3, 5, (3, 2), (2, 1), (1, 0)), image(3)),
    "dilated": (lambda: nn.Conv2d(2, 9, 3, padding=2, dilation=2, bias=False), image(2)),
    "groups": (lambda: nn.Conv2d(6, 4, 3, groups=2), image(6)),
    "depthwise": (lambda: nn.Conv2d(6, 6, (6, 9), groups=6, bias=False), image(6)),
    "transposed": (lambda: nn.ConvTranspose2d(3, 5, 5, 2, 2, 1), image(3)),
    "transposed groups": (lambda: nn.ConvTranspose2d(6, 4, (4, 3), (2, 3), 1, groups=2, bias=False), image(6)),
    "batch norm": (lambda: trained_norm(3), image(3)),
    "batch norm of features": (lambda: nn.BatchNorm1d(6), vector(6)),
    "spectral norm": (spectral, image(3)),
    "activations": (
        lambda: nn.Sequential(nn.SELU(), nn.LeakyReLU(0.3), nn.ELU(0.5), nn.SiLU(), nn.Sigmoid(), nn.ReLU(), nn.Tanh()),
        vector(50),
    ),
    "functions": (
        lambda: Of(lambda x: (x.abs() + 1).log().exp().sqrt().rsqrt().clamp(min=0.6) - 2 / (3 - x) + x**3),
        vector(9),
    ),
    "broadcast": (lambda: Of(lambda x: x * x[:, :1] + x[:, :, :, :1].expand(-1, -1, -1, 9) - 1), image(3)),
    "views": (lambda: Of(lambda x: x.permute(0, 2, 3, 1).flatten(1)[:, 3:40:2].unflatten(1, (-1, 1))), image(3)),
    "sums": (lambda: Of(lambda x: x.sum((2, 3)) + x.mean((2, 3)) + x.mean(3).sum(2)), image(3)),
    "extremes": (lambda: Of(lambda x: torch.maximum(x[:, :2], x[:, 1:]) + torch.minimum(x[:, :1], x[:, 2:])), image(3)),
    "classes": (Embedded, (*vector(4), torch.tensor([3]))),
    "larger, bilinear": (lambda: nn.Upsample(scale_factor=2, mode="bilinear"), image(3)),
    "larger, bicubic": (lambda: nn.Upsample(size=(11, 10), mode="bicubic"), image(3)),
    "larger, nearest": (lambda: nn.Upsample(scale_factor=3), image(3)),
    "smaller": (lambda: nn.AvgPool2d(2), image(3)),
    "dropout": (lambda: nn.Sequential(nn.Dropout(0.5), nn.Identity()), vector(5)),
}


@pytest.fixture(scope="module")
def interpreter(browser: Browser) -> Page:
    opened = browser.new_page()
    for name in ("product.js", "network.js"):
        opened.add_script_tag(content=(page.FILES / name).read_text(encoding="utf-8"))
    return opened


def run(interpreter: Page, program: Program, inputs: tuple[Tensor, ...]) -> Tensor:
    packed, content = pack({"network": program})
    arguments = [packed["network"], list(content), [value.flatten().tolist() for value in inputs]]
    script = """([program, content, inputs]) => {
        const network = new Network(program, Uint8Array.from(content).buffer);
        const results = [0, 1].map(() => Array.from(network.run(inputs.map((values) => Float32Array.from(values)))));
        return results[0].every((value, i) => value === results[1][i]) ? results[0] : null;
    }"""
    found = interpreter.evaluate(script, arguments)
    assert found is not None, "the second run differs from the first"
    return torch.tensor(found)


@pytest.mark.slow
@needs_chromium
@pytest.mark.parametrize("name", NETWORKS)
def test_an_operation_gives_what_it_gives_in_pytorch(interpreter: Page, name: str) -> None:
    torch.manual_seed(0)
    make, inputs = NETWORKS[name]
    network = make().eval()
    with torch.no_grad():
        expected = network(*inputs)
    found = run(interpreter, write_program(network, inputs), inputs)
    assert torch.allclose(found, expected.flatten(), atol=1e-5), (found - expected.flatten()).abs().max()


@pytest.mark.slow
@needs_chromium
def test_many_weights_are_rounded_to_float16_whatever_their_size(interpreter: Page) -> None:
    torch.manual_seed(0)
    for size in (1e-9, 1.0, 1e9):
        network, inputs = nn.Linear(100, 50, bias=False), vector(100)
        with torch.no_grad():
            network.weight.mul_(size)
            expected = network(*inputs).flatten() / size
        found = run(interpreter, write_program(network, inputs), inputs) / size
        assert 0 < (found - expected).abs().max() < 1e-3
    assert scale_of(torch.zeros(3)) == 1


@pytest.mark.parametrize(
    ("network", "inputs", "name"),
    [
        (Of(lambda x: x.sort(1).values), vector(5), "sort"),
        (Of(lambda x: x @ x.T), vector(5), "mm"),
        (nn.MaxPool2d(2), image(3), "max_pool"),
        (nn.Conv1d(3, 4, 2), (torch.randn(1, 3, 8),), "convolution"),
        (Of(lambda x: x.var(0, correction=0) + x), vector(5), "var"),
        (Of(lambda x: torch.add(x, x, alpha=2)), vector(5), "add"),
        (Of(lambda x: x.to(torch.int64).float()), vector(5), "_to_copy"),
        (Of(lambda x: x if x.sum() > 0 else -x), vector(5), "torch.export"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.slow
def test_an_unknown_operation_is_named(network: nn.Module, inputs: Any, name: str) -> None:
    with pytest.raises(InputError, match=name) as error:
        write_program(network.eval(), inputs)
    assert "\n" not in str(error.value)
