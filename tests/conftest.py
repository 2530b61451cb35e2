"""What the tests share: composed configs, small data, and a GAN of them."""

import os
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import get_class
from hypothesis import settings
from omegaconf import OmegaConf

from gans.config.build import build_gan
from gans.config.resolve import resolve
from gans.config.schema import RunConfig
from gans.config.validate import validate
from gans.gan import GAN

ROOT = Path(__file__).parent.parent
CONF = ROOT / "conf"
DATA_ROOT = os.environ.get("GANS_DATA_ROOT")

needs_mnist = pytest.mark.mnist
LONGEST = ("tests/test_commands.py", "tests/study/test_command.py", "tests/test_matrix.py")
"""Files whose tests come first, so that no worker waits for another one's long test at the end."""

settings.register_profile("tests", deadline=None)  # a busy machine is no failure
settings.load_profile("tests")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))
    for item in items:
        if DATA_ROOT is None and item.get_closest_marker("mnist"):
            item.add_marker(pytest.mark.skip(reason="set GANS_DATA_ROOT to a folder that holds MNIST"))
        if item.get_closest_marker("gpu") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="not run: no NVIDIA GPU is here"))


def names(group: str) -> list[str]:
    """Every option of a config group, so that a new file is tested by being there."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


@cache
def option(group: str, name: str) -> dict[str, Any]:
    """What a file of a group says that does not refer to other files."""
    node = OmegaConf.to_container(OmegaConf.load(CONF / group / f"{name}.yaml"))
    assert isinstance(node, dict)
    return {str(key): value for key, value in node.items()}


def composed(*overrides: str, config_name: str = "config") -> dict[str, Any]:
    """The resolved config of a command line. The folder of its run is set last: all else is remembered."""
    folder = [text for text in overrides if text.startswith("runs=/")]
    config = deepcopy(_composed(config_name, tuple(text for text in overrides if text not in folder)))
    return config | ({"runs": folder[-1].removeprefix("runs=")} if folder else {})


@cache
def _composed(config_name: str, overrides: tuple[str, ...]) -> dict[str, Any]:
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return resolve(compose(config_name, overrides=list(overrides)))


def run_config(*overrides: str) -> RunConfig:
    """The validated config of a command line."""
    return validate(composed(*overrides))


def data_for(choice: str, train: int, held_out: int) -> tuple[str, ...]:
    """Overrides for model=... or experiment=...: data of its own, or where these are downloaded the like that is built
    in; so many samples for training, and for validation and test each, where there is a choice."""
    chosen = like_without_download(choice)
    sizes = {"limit": train, "train_size": train, "val_size": held_out, "test_size": held_out}
    options = composed(choice, *chosen)["data"].keys() & sizes.keys()
    return (*chosen, *sorted(f"data.{option}={sizes[option]}" for option in options))


@cache
def like_without_download(choice: str) -> tuple[str, ...]:
    """No override where the data have no root; else the data without one whose class is the closest relative:
    mnist -> digits, stacked_mnist -> stacked_digits."""
    own = composed(choice)["data"]
    if "root" not in own:
        return ()
    files = {name: option("data", name) for name in names("data")}
    kinds = {name: get_class(node["_target_"]) for name, node in files.items() if "root" not in node}
    ancestors = get_class(own["_target_"]).__mro__
    return next((f"data={name}",) for base in ancestors for name, kind in kinds.items() if issubclass(kind, base))


def narrow(choice: str) -> tuple[str, ...]:
    """Overrides that leave networks few channels, where these are an option."""
    networks = {name: composed(choice)["model"][name] for name in ("generator", "discriminator")}
    widths = {name: [min(width, 8) for width in node["widths"]] for name, node in networks.items() if "widths" in node}
    return tuple(f"model.{name}.widths={each}" for name, each in widths.items())


@pytest.fixture
def make_gan() -> Callable[..., GAN]:
    return lambda *overrides: build_gan(run_config("data=digits", *overrides))


@pytest.fixture(autouse=True, scope="session")
def _environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache of its own, and no data root but for the tests that name it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANS_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("GANS_DATA_ROOT", raising=False)
        yield


@pytest.fixture(autouse=True)
def _share_the_cores(worker_id: str) -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(threads if worker_id == "master" else 1)
    yield
    torch.set_num_threads(threads)
