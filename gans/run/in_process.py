"""Runs in a user's own process: Hydra and PyTorch are restored afterwards; Lightning's log stays silent."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from threading import Lock

import torch
from hydra import initialize_config_dir, version
from hydra.core.global_hydra import GlobalHydra

from gans.config.command_line import silence_lightning
from gans.config.explain import CONF
from gans.config.shell import CONFIG_DIRS
from gans.errors import InputError
from gans.machine import flush_denormals, use_cores
from gans.run.callbacks.interrupt import restored_handlers
from gans.run.slurm import requeuing

ONE_RUN = Lock()
"""Held while a run trains: two at once would use the same random numbers, PyTorch's global ones, as dropout does."""


@contextmanager
def hydra_state() -> Iterator[None]:
    """Hydra with this package's options; afterwards as it was."""
    if not CONF.is_dir():
        raise InputError(
            f"'{CONF}' has no options: gans was installed without them. Install a clone of its repository with pip "
            "install -e <clone>"
        )
    before, base = GlobalHydra.instance().hydra, version.getbase()
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            yield
    finally:
        GlobalHydra.instance().hydra = before
        version.VersionBase.instance().version_base = base


@contextmanager
def named(folders: Sequence[str]) -> Iterator[None]:
    """Inside, messages name the user's folders of choices."""
    token = CONFIG_DIRS.set(folders)
    try:
        yield
    finally:
        CONFIG_DIRS.reset(token)


@contextmanager
def as_a_command(folders: Sequence[str]) -> Iterator[None]:
    """Lightning's log is silent from now on. Inside, cores and numbers are used as by a command, and messages name the
    user's folders."""
    if not ONE_RUN.acquire(blocking=False):
        raise InputError("another run trains in this process: train one after the other, or each in its own process")
    with ExitStack() as afterwards:
        afterwards.callback(ONE_RUN.release)
        silence_lightning()
        afterwards.enter_context(usual_torch())
        afterwards.callback(torch.set_num_threads, torch.get_num_threads())
        afterwards.enter_context(named(folders))
        use_cores()
        afterwards.callback(flush_denormals, flush_denormals())
        with own_random_numbers(), restored_handlers(), requeuing():
            yield


def own_random_numbers() -> AbstractContextManager[None]:
    """Afterwards PyTorch's global random numbers go on as if nothing had used them."""
    return torch.random.fork_rng([*range(torch.cuda.device_count())] if torch.cuda.is_available() else [])


@contextmanager
def usual_torch() -> Iterator[None]:
    """PyTorch's usual type and place of new tensors, and gradients; afterwards the caller's settings."""
    before = torch.get_default_dtype()
    is_set = torch.get_default_device().type != "cpu"  # else none is set: setting one makes every operation slower
    with torch.inference_mode(False), torch.enable_grad(), torch.device("cpu") if is_set else nullcontext():
        torch.set_default_dtype(torch.float32)
        try:
            yield
        finally:
            torch.set_default_dtype(before)
