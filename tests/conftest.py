"""What pytest does before and around all tests. The process that hands them to others does not import torch."""

from collections.abc import Iterator
from functools import cache
from importlib.metadata import entry_points

import pytest
import yaml
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import Scheduling, WorkStealingScheduling

FIRST = (
    "tests/run/test_resume.py::test_a_killed_process",
    "tests/test_commands.py",
    "tests/study/test_command.py",
    "tests/test_matrix.py",
)
"""Tests that come first: the long ones, so that no worker waits for another one's at the end; and together, so that one
worker has them, those that fork processes from one that has done the imports, which takes seconds to prepare."""

# Hydra reads the files of conf/ with Python's own parser, which takes a third of what it does to compose a config
vars(yaml)["SafeLoader"] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
settings.register_profile("tests", deadline=None)  # a busy machine is no failure
settings.load_profile("tests")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    import torch

    from tests.configs import DATA_ROOT

    items.sort(key=lambda item: not item.nodeid.startswith(FIRST))
    for item in items:
        if DATA_ROOT is None and item.get_closest_marker("mnist"):
            item.add_marker(pytest.mark.skip(reason="set GANS_DATA_ROOT to a folder that holds MNIST"))
        if item.get_closest_marker("gpu") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="not run: no NVIDIA GPU is here"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling | None:
    """Unless another is asked for, each worker begins with neighbours, which share configs and runs."""
    return WorkStealingScheduling(config, log) if config.getoption("dist") == "load" else None


@pytest.fixture(autouse=True, scope="session")
def _environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache of its own, and no data root but for the tests that name it. Installed packages are looked up once."""
    with pytest.MonkeyPatch.context() as patch:
        # by each trainer, for as long as a training step takes
        patch.setattr("lightning.fabric.utilities.registry.entry_points", cache(entry_points))
        patch.setenv("GANS_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("GANS_DATA_ROOT", raising=False)
        yield


@pytest.fixture(autouse=True)
def _share_the_cores(worker_id: str) -> Iterator[None]:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(threads if worker_id == "master" else 1)
    yield
    torch.set_num_threads(threads)
