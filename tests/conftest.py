"""What the tests share: composed configs, small data, and a GAN of them."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from gans.building import build_gan, plain
from gans.gan import GAN

ROOT = Path(__file__).parent.parent
CONF = ROOT / "conf"
DATA_ROOT = os.environ.get("GANS_DATA_ROOT")

needs_mnist = pytest.mark.mnist


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if DATA_ROOT is None and item.get_closest_marker("mnist"):
            item.add_marker(pytest.mark.skip(reason="set GANS_DATA_ROOT to a folder that holds MNIST"))


def names(group: str) -> list[str]:
    """Every option of a config group, so that a new file is tested by being there."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def composed(*overrides: str, config_name: str = "config") -> dict[str, Any]:
    """The resolved config of a command line."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return plain(compose(config_name, overrides=list(overrides)))


@pytest.fixture
def make_gan() -> Callable[..., GAN]:
    return lambda *overrides: build_gan(composed("data=digits", *overrides))


@pytest.fixture(autouse=True, scope="session")
def _cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def _share_the_cores(worker_id: str) -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(threads if worker_id == "master" else 1)
    yield
    torch.set_num_threads(threads)
