"""Checkpoint files that are whole, checked when they are read, and never the only one."""

import hashlib
import io
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import CheckpointIO
from typing_extensions import override

from gans.errors import InputError
from gans.files import replacing, write_text


class DamagedCheckpoint(InputError):
    """A checkpoint that is not what was written."""


class CheckedCheckpoints(CheckpointIO):
    """Writes each checkpoint beside its place, flushed, then renamed; the one that it replaces stays, as ``.previous``.

    ``<name>.sha256`` lists what the file may be. It names the new content before the file is replaced and the old one
    still, so that the file matches at every moment, whatever kills the process.
    """

    def __init__(self) -> None:
        self._written: dict[Path, tuple[tuple[int, ...], str]] = {}

    @override
    def save_checkpoint(self, checkpoint: Mapping[str, Any], path: str | Path, storage_options: Any = None) -> None:
        path = Path(path)
        buffer = io.BytesIO()
        torch.save(dict(checkpoint), buffer)
        digest = digest_of(buffer.getbuffer())
        with replacing(path) as file:
            file.write(buffer.getbuffer())
            file.flush()  # what can't be written leaves the old files as they are
            write_digests(path, [*self._keep_as_previous(path), digest])
        self._written[path] = (identity(path), digest)

    def load_checkpoint(self, path: str | Path, map_location: Any = None, **_: Any) -> dict[str, Any]:
        return load_checked(Path(path), map_location)

    def _keep_as_previous(self, path: Path) -> list[str]:
        """Keep a checkpoint that is about to be replaced, if it is whole; its SHA-256, in a list, or an empty one."""
        if not path.is_file():
            return []
        written, digest = self._written.get(path, (None, ""))
        if written != identity(path):  # else nobody has touched it since it was written here
            digest = digest_of(path.read_bytes())
        if digest not in known_digests(path):
            return []
        previous = previous_path(path)
        write_digests(previous, [*known_digests(previous)[-1:], digest])
        _link(path, previous)
        return [digest]

    def remove_checkpoint(self, path: str | Path) -> None:
        for file in (Path(path), digests_path(Path(path))):
            file.unlink(missing_ok=True)


def load_checked(path: Path, map_location: Any = "cpu") -> dict[str, Any]:
    """A checkpoint's contents: tensors and plain values only; nothing in the file is run.

    Raises:
        DamagedCheckpoint: where the file is not what was written.
        InputError: where it can't be read, or holds more than tensors and plain values.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"can't read '{path}': {error.strerror or error}") from error
    known = known_digests(path)
    if not known:
        print(
            f"warning: '{path}' has no '{digests_path(path).name}' beside it, so it can't be verified", file=sys.stderr
        )
    elif digest_of(content) not in known:
        raise DamagedCheckpoint(f"'{path}' is damaged: its SHA-256 is not the one in '{digests_path(path).name}'")
    try:
        return torch.load(io.BytesIO(content), map_location=map_location, weights_only=True)
    except Exception as error:
        raise InputError(f"'{path}' is not a checkpoint that can be loaded safely") from error


def mend(path: Path) -> None:
    """Put a damaged or lost checkpoint's predecessor in its place, if there is a whole one, and say so.

    The damaged file is set aside as ``<name>.damaged``.
    """
    previous = previous_path(path)
    if not previous.is_file() or (path.is_file() and is_whole(path)) or not is_whole(previous):
        return
    state = "lost"
    if path.is_file():
        aside = path.with_name(f"{path.name}.damaged")
        os.replace(path, aside)
        state = f"damaged, and set aside as '{aside.name}'"
    write_digests(path, known_digests(previous))
    _link(previous, path)
    print(f"warning: '{path}' is {state}: going on from its predecessor", file=sys.stderr)


def is_whole(path: Path) -> bool:
    """Whether a checkpoint is what was written."""
    return digest_of(path.read_bytes()) in known_digests(path)


def previous_path(path: Path) -> Path:
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def digests_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def known_digests(path: Path) -> list[str]:
    file = digests_path(path)
    return file.read_text(encoding="utf-8", errors="replace").split() if file.is_file() else []


def write_digests(path: Path, digests: list[str]) -> None:
    write_text(digests_path(path), "\n".join(digests) + "\n")


def identity(path: Path) -> tuple[int, ...]:
    """What changes when a file is written or replaced."""
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def digest_of(content: bytes | memoryview) -> str:
    return hashlib.sha256(content).hexdigest()


def _link(source: Path, target: Path) -> None:
    """Give a file a second name, in the place of what has that name now."""
    temporary = target.with_name(f".{target.name}-link")
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)
    except OSError:  # a file system that has no hard links
        shutil.copyfile(source, temporary)
    os.replace(temporary, target)
