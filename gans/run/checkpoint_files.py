"""Checkpoint files: immutable, with the training step and a digest of the content in their names."""

import hashlib
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch.plugins.io import CheckpointIO

from gans.errors import InputError, warn
from gans.files import replacing

Kind = Literal["best", "last"]
KINDS: tuple[Kind, ...] = ("best", "last")

NAME = re.compile(r"(last|best)_(?P<step>\d+)_(?P<digest>[0-9a-f]{32})\.ckpt")

KEPT = 2
"""How many of the newest last checkpoints are kept: the second one is used if the first one is damaged."""


class VerifiedCheckpointIO(CheckpointIO):
    """Saves checkpoints atomically, verifies them when it loads them, and deletes old ones.

    A killed process leaves no incomplete file under a checkpoint's name. The digest reveals later damage.
    """

    def save_checkpoint(self, checkpoint: Mapping[str, Any], path: str | Path, storage_options: Any = None) -> None:
        path = Path(path)
        buffer = io.BytesIO()
        torch.save(dict(checkpoint), buffer)
        path.parent.mkdir(exist_ok=True)
        with replacing(path.with_stem(f"{path.stem}_{digest_of(buffer.getbuffer())}")) as file:
            file.write(buffer.getbuffer())
        delete_old(path.parent)

    def load_checkpoint(self, path: str | Path, map_location: Any = None, **_: Any) -> dict[str, Any]:
        return load_verified(Path(path))  # to the host, from whatever device it was saved on

    def remove_checkpoint(self, path: str | Path) -> None:
        Path(path).unlink(missing_ok=True)


def delete_old(folder: Path) -> None:
    """Delete the checkpoints that neither the run nor a resume from one of its last two checkpoints needs."""
    last, best = checkpoints_in(folder, "last"), checkpoints_in(folder, "best")
    resumable = min((step_of(path) for path in last[:KEPT]), default=0)
    reached = [path for path in best if step_of(path) <= resumable]
    for path in (*last[KEPT:], *reached[1:]):
        path.unlink()


def delete_best_from(folder: Path, step: int) -> None:
    """Delete the best checkpoints of this step and later: a run that resumes there validates again."""
    for path in checkpoints_in(folder, "best"):
        if step_of(path) >= step:
            path.unlink()


def forget(folder: Path, step: int) -> None:
    """Delete the checkpoints of a step, but not the only last one that is whole."""
    last = checkpoints_in(folder, "last")
    others = [path for path in last if step_of(path) != step and is_whole(path)]
    for path in (*checkpoints_in(folder, "best"), *(last if others else ())):
        if step_of(path) == step:
            path.unlink()


def checkpoint_path(folder: Path, kind: Kind, step: int) -> Path:
    """The path to save a checkpoint to; ``VerifiedCheckpointIO`` adds the digest."""
    return folder / f"{kind}_{step:07d}.ckpt"


def checkpoints_in(folder: Path, kind: Kind) -> list[Path]:
    """The checkpoint files of a kind, newest first."""
    found = [path for path in folder.glob(f"{kind}_*.ckpt") if NAME.fullmatch(path.name)]
    return sorted(found, key=lambda path: (step_of(path), path.stat().st_mtime_ns), reverse=True)


def step_of(path: Path) -> int:
    """The training step in a checkpoint's name."""
    return int(path.name.split("_")[1])


def newest_whole(folder: Path, kind: Kind) -> Path | None:
    """The newest undamaged checkpoint of a kind; None if there is none."""
    return next((path for path in checkpoints_in(folder, kind) if is_whole(path)), None)


def recover_previous(folder: Path, kind: Kind) -> Path | None:
    """The newest undamaged checkpoint of a kind. Renames newer ones to ``<name>.damaged``, with a warning."""
    whole = newest_whole(folder, kind)
    for path in checkpoints_in(folder, kind):
        if path == whole:
            break
        aside = path.replace(path.with_name(f"{path.name}.damaged"))
        consequence = f"'{whole.name}' is used" if whole else "there is no earlier checkpoint"
        warn(f"'{path}' is damaged, and set aside as '{aside.name}': {consequence}")
    return whole


def load_verified(path: Path) -> dict[str, Any]:
    """A checkpoint's tensors, on the CPU, and plain values. No code in the file is run.

    Raises:
        InputError: if the file is damaged, can't be read, or holds other objects than tensors and plain values.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"can't read '{path}': {error.strerror or error}") from error
    name = NAME.fullmatch(path.name)
    if name is None:
        warn(f"'{path}' can't be verified: its name has no digest")
    elif digest_of(content) != name["digest"]:
        raise InputError(f"'{path}' is damaged: its SHA-256 is not the one in its name")
    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:
        raise InputError(f"'{path}' is not a checkpoint that can be loaded safely") from error


def is_whole(path: Path) -> bool:
    """Whether a checkpoint's content matches the digest in its name."""
    name = NAME.fullmatch(path.name)
    return name is not None and digest_of(path.read_bytes()) == name["digest"]


def digest_of(content: bytes | memoryview) -> str:
    """The first half of the SHA-256 of a file's content, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()[:32]
