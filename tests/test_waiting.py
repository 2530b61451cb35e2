"""A training step never waits for its device: counted on the CPU, where waiting costs nothing but is the same call."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from typing_extensions import override

from gans.data.batches import Batch
from gans.gan import GAN
from gans.models.cpu.dropout import bits
from gans.nonfinite import READ_EVERY
from gans.run.commands import start
from tests.training import (
    MODELS,
    STABILIZERS,
    batches_of,
    gan_of,
    points_gan,
    small_config,
    tiny_batches,
    tiny_gan,
    train,
)

READ = "_local_scalar_dense"
"""What most reads of a single value come down to."""

OPERATIONS = {READ, "is_nonzero", "item", "equal", "nonzero", "masked_select", "unique_dim", "_unique2"}
"""Whose result, or its shape, the host must know to go on."""

METHODS = {"item", "tolist", "numpy", "cpu", "__array__", "__bool__", "__int__", "__float__", "__index__"}
"""Which read a tensor's values."""


class Counting:
    """A mode that counts what makes the host wait."""

    def __init__(self, found: Counter[str]) -> None:
        super().__init__()
        self.found = found


class Operations(Counting, TorchDispatchMode):
    """Operations, also those that others are made of."""

    @override
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        by_mask = name in ("index", "index_put_") and any(
            index is not None and index.dtype == torch.bool for index in args[1]
        )
        if name in OPERATIONS or by_mask:
            self.found[name] += 1
        return func(*args, **(kwargs or {}))


class Methods(Counting, TorchFunctionMode):
    """Reads of a tensor's values, some of which are no operations on a CPU, and copies to "cpu", by that name."""

    @override
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        options = (*args[1:], *(kwargs or {}).values())
        to_host = name == "to" and any(isinstance(each, str) and each == "cpu" for each in options)
        if name in METHODS or to_host:
            self.found[name] += 1
        return func(*args, **(kwargs or {}))


@contextmanager
def reads(found: Counter[str]) -> Iterator[None]:
    """Counts what makes the host wait inside."""
    bits.cache_clear()  # as in a process's first step
    with Methods(found), Operations(found):
        yield
    found["numpy"] -= bits.cache_info().misses  # of numbers that are made on the host


def reads_of_steps(gan: GAN, batches: list[Batch], monkeypatch: pytest.MonkeyPatch, every: int = 1000) -> Counter[str]:
    found: Counter[str] = Counter()
    training_step = GAN.training_step

    def watched(self: GAN, batch: Batch, batch_index: int) -> None:
        self.non_finite_detector.every = every
        with reads(found):
            training_step(self, batch, batch_index)

    with monkeypatch.context() as patch:
        patch.setattr(GAN, "training_step", watched)
        train(gan, batches)
    return found


@pytest.mark.parametrize("model", MODELS)
def test_no_step_of_any_model_waits(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert reads_of_steps(gan_of(model), batches_of(model)[:1], monkeypatch) == Counter()


@pytest.mark.parametrize("stabilizer", STABILIZERS)
def test_no_step_with_any_stabilizer_waits(stabilizer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert reads_of_steps(tiny_gan("bce", [stabilizer]), tiny_batches(), monkeypatch) == Counter()


def test_a_look_at_the_verdict_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    found = reads_of_steps(gan_of("mlp"), batches_of("mlp"), monkeypatch, every=1)
    assert found == Counter({"__bool__": 4, READ: 4})


@pytest.mark.parametrize(
    ("read", "counted"),
    [
        ("value.tolist()", ["tolist"]),
        ("value.numpy()", ["numpy"]),
        ("value.cpu()", ["cpu"]),
        ("value.to('cpu')", ["to"]),
        ("value.item()", ["item", READ]),
        ("[0, 1][value]", ["__index__", READ]),
        ("value.nonzero()", ["nonzero"]),
        ("torch.arange(value)", [READ]),
    ],
)
def test_each_way_to_wait_is_counted(read: str, counted: list[str]) -> None:
    found: Counter[str] = Counter()
    value = torch.tensor(1)
    with reads(found):
        eval(read, {"value": value, "torch": torch})
    assert found == Counter(counted)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_run_waits_for_its_curves_and_verdicts_alone(
    precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all its callbacks, from one step to another, where nothing is saved or drawn: as it would be on a GPU."""
    found: Counter[str] = Counter()
    inside, start_of_fit = ExitStack(), GAN.on_fit_start

    def as_on_a_gpu(self: GAN) -> None:
        start_of_fit(self)
        self.non_finite_detector.every = READ_EVERY

    def before(self: GAN, *_: object) -> None:
        if self.training_steps == 2:
            inside.enter_context(reads(found))

    def after(self: GAN, *_: object) -> None:
        if self.training_steps == 12:
            inside.close()

    for name, hook in {"fit_start": as_on_a_gpu, "train_batch_start": before, "train_batch_end": after}.items():
        monkeypatch.setattr(GAN, f"on_{name}", hook)
    changes = {
        "runs": str(tmp_path), "trainer.max_steps": 15, "trainer.max_epochs": None, "trainer.precision": precision,
        "data.limit": 60, "log_every": 5, "metric": {}, "figure": {}, "samples.frames": 1, "samples.count": 10,
    }  # fmt: skip
    start(small_config("model=autoencoder", changes), "some")
    # points of the curves at 5 and 10, two players' verdicts at 10
    assert found == Counter({"tolist": 2, "__int__": 2, READ: 2})


def test_only_on_a_cpu_each_step_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    gan = points_gan()
    gan.on_fit_start()
    assert gan.non_finite_detector.every == 1
    monkeypatch.setattr(GAN, "device", torch.device("meta"))
    gan.on_fit_start()
    assert gan.non_finite_detector.every == READ_EVERY > 1
