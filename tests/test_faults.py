"""Values that are no numbers: caught at their step, named, and never saved."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from gans.data.batches import Batch
from gans.errors import TrainingError
from gans.run.export import read_checkpoint
from gans.nonfinite import NonFiniteDetector, NonFiniteError, require_finite_state
from gans.gan import GAN
from gans.run.history import History
from gans.run.folder import Run
from gans.run.commands import start_run
from gans.update import Samples, Turn
from tests.conftest import composed
from tests.test_gan import random_batch, train

STEP = 4
SMALL = (
    "data=digits", "data.limit=40", "data.batch_size=8", "trainer.max_epochs=2", "trainer.max_steps=null",
    "log_every=2", "samples.count=10", "samples.frames=1", "metric=none", "checkpoint.every_steps=2",
)  # fmt: skip
ODD = [math.nan, math.inf, -math.inf]

Injection = Callable[[GAN, Batch, float, pytest.MonkeyPatch], None]


def into_data(_gan: GAN, batch: Batch, value: float, _patch: pytest.MonkeyPatch) -> None:
    batch.images[3, 0, 5, 5] = value


def into_weights_of(network: str) -> Injection:
    def inject(gan: GAN, _batch: Batch, value: float, _patch: pytest.MonkeyPatch) -> None:
        with torch.no_grad():
            next(gan.get_submodule(network).parameters()).view(-1)[7] = value

    return inject


def into_loss_of(player: str) -> Injection:
    def inject(gan: GAN, _batch: Batch, value: float, patch: pytest.MonkeyPatch) -> None:
        terms = getattr(gan, f"{player}_terms")
        patch.setattr(gan, f"{player}_terms", lambda turn: {k: v + value for k, v in terms(turn).items()})

    return inject


def into_gradient_of(network: str) -> Injection:
    def inject(gan: GAN, _batch: Batch, value: float, _patch: pytest.MonkeyPatch) -> None:
        last = list(gan.get_submodule(network).parameters())[-1]
        last.register_hook(lambda gradient: torch.full_like(gradient, value))

    return inject


CASES: dict[str, tuple[Injection, str]] = {
    "data": (into_data, "an image of the training data is"),
    "generator's weights": (into_weights_of("generator"), r"the weight generator\.\S+ is"),
    "discriminator's weights": (into_weights_of("discriminator"), r"the weight discriminator\.\S+ is"),
    "discriminator's loss": (into_loss_of("discriminator"), "the discriminator's adversarial loss is"),
    "generator's loss": (into_loss_of("generator"), "the generator's adversarial loss is"),
    "discriminator's gradient": (into_gradient_of("discriminator"), r"the gradient of discriminator\.\S+ is"),
    "generator's gradient": (into_gradient_of("generator"), r"the gradient of generator\.\S+ is"),
}


@pytest.fixture
def run_with(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., GAN]:
    """Train with a fault injected at the start of a step, the first so many times; the GAN of the last attempt."""

    def run(inject: Injection, value: float, *overrides: str, times: int = 1000) -> GAN:
        training_step, seen = GAN.training_step, []

        def stepped(self: GAN, batch: Batch, batch_index: int) -> None:
            if self not in seen:
                seen.append(self)
            if self.training_steps == STEP - 1 and len(seen) <= times:
                inject(self, batch, value, monkeypatch)
            training_step(self, batch, batch_index)

        with monkeypatch.context() as patch:
            patch.setattr(GAN, "training_step", stepped)
            config = composed(f"runs={tmp_path}", *SMALL, *overrides)
            start_run(config, {"data": "d", "model": "m", "objective": "o"})
        return seen[-1]

    return run


def only_run(folder: Path) -> Run:
    (path,) = folder.iterdir()
    return Run(path)


@pytest.mark.parametrize("value", ODD)
@pytest.mark.parametrize("case", CASES)
def test_a_fault_is_caught_at_its_step_and_never_saved(
    run_with: Callable[..., GAN], tmp_path: Path, case: str, value: float
) -> None:
    inject, named = CASES[case]
    with pytest.raises(TrainingError, match=f"{named} (nan|-?inf) at training step {STEP}") as fault:
        run_with(inject, value, "model=dcgan")
    assert fault.value.exit_code == 3
    run = only_run(tmp_path)
    checkpoint = read_checkpoint(run.last_checkpoint)
    assert checkpoint["training_steps"] == STEP - 2  # the one before, of every two steps
    kept = [*checkpoint["state_dict"].values()]
    kept += [v for each in checkpoint["optimizer_states"] for state in each["state"].values() for v in state.values()]
    assert all(tensor.isfinite().all() for tensor in kept)
    assert History(run.path).last == "failed"


@pytest.mark.parametrize("model", ["acgan", "wgan", "autoencoder"])
def test_faults_are_caught_in_every_model(run_with: Callable[..., GAN], model: str) -> None:
    with pytest.raises(TrainingError, match=f"the generator's adversarial loss is nan at training step {STEP}"):
        run_with(into_loss_of("generator"), math.nan, f"model={model}")


def test_huge_but_finite_gradients_are_no_fault() -> None:
    network = torch.nn.Linear(10, 10)
    for weight in network.parameters():
        weight.grad = torch.full_like(weight, 1e30)  # its square is not finite in float32
    optimizer = torch.optim.SGD(network.parameters())
    side = Samples(torch.zeros(2, 1, 3, 3), *torch.zeros(3, 2))
    turn = Turn(lambda images, _: images, side, side)
    watch = NonFiniteDetector()
    watch.check("generator", torch.zeros(()), optimizer, turn, {}, network, 1)
    assert network.bias.grad is not None
    network.bias.grad[4] = math.inf
    with pytest.raises(NonFiniteError, match="the gradient of bias is inf at training step 1"):
        watch.check("generator", torch.zeros(()), optimizer, turn, {}, network, 1)


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_a_verdict_that_is_read_later_names_the_step_of_the_fault(
    make_gan: Callable[..., GAN], monkeypatch: pytest.MonkeyPatch, player: str
) -> None:
    gan = make_gan("model=autoencoder")
    training_step = GAN.training_step

    def stepped(self: GAN, batch: Batch, batch_index: int) -> None:
        self.watch.every = 5
        if self.training_steps == 2:
            into_loss_of(player)(self, batch, math.nan, monkeypatch)
        training_step(self, batch, batch_index)

    monkeypatch.setattr(GAN, "training_step", stepped)
    with pytest.raises(NonFiniteError, match=f"the {player}'s adversarial loss is nan at training step 3"):
        train(gan, [random_batch(seed=seed) for seed in range(8)])
    assert gan.training_steps == 4  # it was read in the fifth


def test_a_rollback_goes_on_with_other_random_numbers_and_is_recorded(
    run_with: Callable[..., GAN], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_with(into_loss_of("generator"), math.nan, "model=dcgan", "on_nan=rollback", times=1)
    run = only_run(tmp_path)
    events = History(run.path).events
    assert [event["event"] for event in events] == ["started", "rolled back", "finished"]
    assert events[1]["to_step"] == STEP - 2
    assert f"the generator's adversarial loss is nan at training step {STEP}" in events[1]["why"]
    assert f"back to step {STEP - 2}" in capsys.readouterr().err
    losses = run.curves["train/generator_loss"]
    assert losses["step"].tolist() == [2, 4, 6, 8, 10]

    straight = start_run(
        composed(f"runs={tmp_path / 'straight'}", *SMALL, "model=dcgan"), {"data": "d", "model": "m", "objective": "o"}
    )
    same = straight.curves["train/generator_loss"]["value"] == losses["value"]
    assert same.tolist() == [True, False, False, False, False]


def test_rollbacks_are_bounded(run_with: Callable[..., GAN], tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="it was the last of 2 rollbacks") as fault:
        run_with(into_data, math.nan, "model=dcgan", "on_nan=rollback", "rollbacks=2")
    assert fault.value.exit_code == 3
    assert History(only_run(tmp_path).path).count("rolled back") == 2


def test_a_state_that_is_not_finite_is_not_saved(make_gan: Callable[..., GAN]) -> None:
    gan = make_gan("model=dcgan")
    optimizers: list[Any] = gan.configure_optimizers()
    require_finite_state(gan, optimizers, 1)
    weight = next(gan.discriminator.parameters())
    optimizers[1].state[weight]["exp_avg"] = torch.full_like(weight, math.inf)
    with pytest.raises(NonFiniteError, match="the optimizer's exp_avg is inf at training step 1"):
        require_finite_state(gan, optimizers, 1)
