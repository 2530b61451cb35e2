"""A lock on a folder, so that two processes do not write to one run."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from gans.errors import InputError, warn
from gans.files import LOCK

NO_LOCKS = {getattr(errno, name) for name in ("ENOSYS", "ENOLCK", "ENOTSUP", "EOPNOTSUPP") if hasattr(errno, name)}
"""Errors of file systems without locks."""


@contextmanager
def lock(folder: Path, use: str = "trains or tests this run", seconds: float = 0) -> Iterator[None]:
    """Lock a folder against other processes, by default a run folder. Where locks don't work, a warning says so.

    Args:
        use: what the process that has locked it does there.
        seconds: how long to wait for it.

    Raises:
        InputError: if another process has locked it.
    """
    own = FileLock(folder / LOCK, timeout=seconds, fallback_to_soft=False)
    try:
        own.acquire()
    except Timeout as error:
        raise InputError(f"'{folder}' is locked by another process, which {use}") from error
    except FileNotFoundError as error:
        raise InputError(f"'{folder}' was removed meanwhile: repeat the command") from error
    except OSError as error:
        if error.errno not in NO_LOCKS:
            why = error.strerror or error
            raise InputError(
                f"'{folder}' can't be written ({why}): copy it to where it can, and use the copy"
            ) from error
        warn(
            f"the file system of '{folder}' has no locks ({error.strerror}): nothing keeps two processes from "
            "writing there at once"
        )
    try:
        yield
    finally:
        own.release()
