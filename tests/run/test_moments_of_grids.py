"""Moments of grids that training does not reach are named before it."""

from pathlib import Path

import pytest

from tests.run.runs import STEPS, resume, start


@pytest.mark.slow
def test_only_moments_after_the_end_are_named_until_training_is_longer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = start(tmp_path, f"samples.steps=[1,{STEPS},{STEPS + 1}]", "samples.epochs=[2,3]")
    (warning,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: "))
    assert f"samples.epochs=[3] and samples.steps=[{STEPS + 1}]:" in warning
    resume(run, budget={"max_epochs": 3})
    assert "warning: " not in capsys.readouterr().err
    assert run.grid_file(STEPS + 1).is_file()
