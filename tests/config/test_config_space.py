"""Any composition of the config trains two steps, or is refused in one line before anything is written."""

import json
import math
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hydra.errors import HydraException
from hypothesis import HealthCheck, Phase, event, given, seed, settings
from hypothesis import strategies as st
from omegaconf.errors import OmegaConfBaseException

from gans.config.explain import explain
from gans.config.resolve import flatten
from gans.errors import InputError, TrainingError
from gans.run.commands import start
from gans.run.test_results import read_results
from tests.configs import composed, data_for, names, narrow, run_config

PARTS = 2
EXAMPLES = 12  # of a part

BASE = (
    "data.batch_size=10", "trainer.max_epochs=1", "trainer.max_steps=2", "samples.count=4", "samples.frames=1",
    "evaluated_images=70", "log_every=1", "trainer.check_val_every_n_epoch=1", "figure=none",
)  # fmt: skip
# not drawn: where runs are written, what is another command, and how long training takes
FIXED = (
    "runs",
    "resume",
    "test",
    "draw",
    "trainer.max_epochs",
    "trainer.max_steps",
    "metric.synthetic_accuracy.epochs",
)

VALUES: list[Any] = [
    None, True, False, -1, 0, 1, 2, 3, 5, 17, 64, -0.5, 0.0, 0.25, 1.0, 1.5, math.nan, math.inf, "text", "", "1",
    [], [1], [8], [0, 1], [-1], [1, 1], [0.5, 0.9], ["a"], [11],
]  # fmt: skip


def written(value: Any) -> str:
    """A value as it is written on the command line."""
    if isinstance(value, list):
        return f"[{','.join(map(written, value))}]"
    if isinstance(value, str):
        return f"'{value}'"
    return json.dumps(value).replace("Infinity", "inf").replace("NaN", "nan")


def lists(options: list[str], most: int) -> st.SearchStrategy[str]:
    chosen = st.lists(st.sampled_from(options), min_size=1, max_size=most)
    return chosen.map(lambda names: f"[{','.join(names)}]")


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    """Choices in every group, and a few options with values that may or may not make sense."""
    model = f"model={draw(st.sampled_from(names('model')))}"
    groups = [model, *narrow(model), *data_for(model, train=40, held_out=70)]
    if draw(st.booleans()):
        groups.append(f"objective={draw(st.sampled_from(names('objective')))}")
    techniques = [name for name in names("stabilize") if name != "none"]
    groups.append(f"stabilize={draw(st.just('none') | lists(techniques, 3))}")
    metrics = [name for name in names("metric") if name not in ("none", "synthetic_accuracy")]
    groups.append(f"metric={draw(st.just('none') | st.just('none') | lists(metrics, 2))}")
    options = sorted(set(flatten(composed(*BASE, *groups))) - set(FIXED))
    changed = draw(st.lists(st.tuples(st.sampled_from(options), st.sampled_from(VALUES)), max_size=3))
    return [*groups, *(f"{option}={written(value)}" for option, value in changed)]


def trains_or_is_refused(overrides: list[str]) -> None:
    with TemporaryDirectory() as folder:
        runs = Path(folder) / "runs"
        try:
            config = run_config(*BASE, *overrides, f"runs={runs}")
            run = start(config, "run")
        except (InputError, HydraException, OmegaConfBaseException) as error:
            line = explain(error)
            assert line.strip()
            assert "\n" not in line
            assert not runs.exists(), "refused, but only after something was written"
            event("refused")
        except TrainingError as error:
            line = explain(error)
            assert "at training step" in line
            event("not finite")
        else:
            data = config.data
            samples = data["train_size"] if "train_size" in data else data["limit"]
            steps = read_results(run.test_results_file).checkpoints["last"].training_steps
            assert steps == min(2, samples // data["batch_size"] if samples else 2)
            event("trained")


def check_many(part: int, examples: int) -> None:
    @seed(part)
    @settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
        phases=[Phase.generate],
    )
    @given(command_lines())
    def check(overrides: list[str]) -> None:
        trains_or_is_refused(overrides)

    check()


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_compositions_train_or_are_refused(part: int) -> None:
    check_many(part, EXAMPLES)
