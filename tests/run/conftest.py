"""Runs that many tests compare others with."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gans.run.folder import RunFolder
from tests.run.runs import start, stopped_run

Made = dict[tuple[str, ...], RunFolder]


@pytest.fixture(scope="session")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., RunFolder]:
    """(options) -> the run that nothing stopped, made when it is first asked for."""
    made: Made = {}

    def run(*overrides: str) -> RunFolder:
        if overrides not in made:
            made[overrides] = start(tmp_path_factory.mktemp("unbroken"), *overrides)
        return made[overrides]

    return run


@pytest.fixture(scope="session")
def _stopped_before() -> Made:
    return {}


@pytest.fixture
def stopped(_stopped_before: Made, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run that SIGTERM ended in its fifth step of six; a copy, for the test to spoil."""
    if () not in _stopped_before:  # not in a session's fixture, which would train on other threads than tests do
        _stopped_before[()] = stopped_run(tmp_path_factory.mktemp("stopped"))
    copy = shutil.copytree(_stopped_before[()].path, tmp_path / "runs" / "stopped")
    return RunFolder(copy)
