"""The classes that a folder or an .npz file has. Options name them, so this does not wait for PyTorch."""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy
from PIL import Image

from gans.errors import InputError, one_line, warn_once

PARTS = ("train", "test")
"""Folders that hold the source's own split."""
USUAL_PARTS = ("train", "training", "test", "testing", "val", "valid", "validation")
"""Names of folders that are hardly those of classes, in lower case."""
ARRAYS = ("images", "labels", "class_names")
"""What an .npz file may have; other arrays are named in a warning."""
ROOT_OPTION = "data.root (of evaluate.py: images)"
"""How the user names the folder or file."""
DAMAGE = (OSError, EOFError, ValueError, TypeError, KeyError, zipfile.BadZipFile, zlib.error)
"""What numpy raises for a file that is no .npz file, or a damaged one."""
NONE = -1
"""The label of an image without a class in an .npz file, as generate.py writes it."""
ONLY = "image"
"""The name of the class of images without labels."""
UNREADABLE = {None, "BUFR", "GRIB", "HDF5", "MPEG", "PALM", "PDF"}
"""Pillow's formats that it only writes, or only names; None: none of its formats."""


def find_classes(root: Path) -> list[str]:
    """The names of the classes in a folder or an .npz file; an InputError if there is neither."""
    names = _classes_in_arrays(root) if is_array_file(root) else _classes_in_folders(root)
    if unusable := [name for name in names if "${" in name]:
        raise InputError(f"'{root}': '{unusable[0]}' can't be the name of a class, since it contains ${{: rename it")
    if unusable := [shown for name in names if (shown := name.encode(errors="backslashreplace").decode()) != name]:
        raise InputError(f"'{root}': '{unusable[0]}' can't be the name of a class, since it is no UTF-8: rename it")
    if unusable := [name for name in names if not name or names.count(name) > 1]:
        raise InputError(f"'{root}': class_names has '{unusable[0]}' twice, or an empty name: rename it")
    return names


def _classes_in_folders(root: Path) -> list[str]:
    if not root.is_dir():
        other = "this is neither a folder nor an .npz file, as numpy.savez writes"
        what = other if root.exists() else "there is no such folder, nor .npz file"
        no_such = f"'{root.absolute()}': {what}"
        raise InputError(f"{no_such}: give another {ROOT_OPTION}")
    found = {path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")}
    if {name.lower() for name in found} & {*USUAL_PARTS} and found != {*PARTS}:
        raise InputError(
            f"'{root}' has the folders {listed(sorted(found))}: name one of them as {ROOT_OPTION}; train.py also takes "
            "train and test alone"
        )
    of_parts = [class_folders(root / part) for part in PARTS] if found == {*PARTS} else [class_folders(root)]
    if len({*map(tuple, of_parts)}) > 1:
        different = sorted(set(of_parts[0]) ^ set(of_parts[-1]))
        raise InputError(f"'{root}': train and test need the same class folders, but differ in {listed(different)}")
    return of_parts[0] or [ONLY]


def is_array_file(root: Path) -> bool:
    return root.suffix.lower() == ".npz" and root.is_file()


def has_parts(root: Path) -> bool:
    return all((root / part).is_dir() for part in PARTS)


def class_folders(folder: Path) -> list[str]:
    """The names of the folders in a folder, without hidden ones; an InputError if images lie beside them."""
    try:
        entries = [path for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError as error:
        raise InputError(f"can't read the folder '{folder}': {error.strerror or error}") from error
    folders = sorted(path.name for path in entries if path.is_dir())
    beside = [path.name for path in entries if is_image(path) and not path.is_dir()]
    if folders and beside:
        raise InputError(
            f"'{folder}' has images, such as '{min(beside)}', beside folders, such as '{folders[0]}': move all images "
            "into class folders, or none"
        )
    return folders


def is_image(path: Path) -> bool:
    """Whether a file's name is that of an image that Pillow reads."""
    return Image.registered_extensions().get(path.suffix.lower()) not in UNREADABLE


def _begins_as_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"PK"


def unreadable(path: Path, error: Exception) -> InputError:
    """What to say of an .npz file that can't be read."""
    if isinstance(error, OSError):
        return InputError(f"can't read '{path}': {error.strerror or error}")
    if not _begins_as_zip(path):
        return InputError(f"'{path}' is no .npz file, whatever its name says: write one with numpy.savez")
    return InputError(f"can't read '{path}': {one_line(error)}. It needs an array 'images', uint8, as of numpy.savez")


def _classes_in_arrays(path: Path) -> list[str]:
    try:
        with numpy.load(path) as arrays:
            present = numpy.unique(labels_in(arrays, 0, path))
            names = array_in(arrays, "class_names", path) if "class_names" in arrays else None
            if others := sorted({*arrays} - {*ARRAYS}):
                warn_once(f"'{path}': {listed(others)} not used: of an .npz file only {listed([*ARRAYS])} are read")
            if names is not None and names.ndim != 1:
                raise InputError(f"'{path}': class_names must be a list of names, not an array of shape {names.shape}")
            if names is not None and len(names) and "labels" not in arrays:
                raise InputError(f"'{path}' has class_names, but no labels that say which image shows what: add labels")
            if "labels" not in arrays or present.tolist() == [NONE]:
                return [ONLY]
    except DAMAGE as error:
        raise unreadable(path, error) from error
    if names is None:
        return [str(each) for each in present]
    if not present.size:
        raise InputError(f"'{path}' has no images")
    if not len(names):
        raise InputError(f"'{path}': class_names is empty, though images have labels: name them, or leave it out")
    if present.dtype.kind not in "iu" or not 0 <= present.min() <= present.max() < len(names):
        raise InputError(
            f"'{path}': labels must be whole numbers from 0 to {len(names) - 1}: it has {len(names)} class_names"
        )
    return [str(names[each]) for each in present]


def array_in(arrays: Any, name: str, path: Path) -> Any:
    """An array of a file, bytes as the text that they are in UTF-8; an InputError that names it if it holds Python
    objects, as images of several sizes do."""
    try:
        array = arrays[name]
        return numpy.char.decode(array, "utf-8") if array.dtype.kind == "S" else array
    except UnicodeDecodeError as error:
        raise InputError(f"'{path}': {name} has bytes that are no UTF-8 text: save it with dtype=str") from error
    except ValueError as error:
        if "allow_pickle" not in str(error):  # NumPy's word for them
            raise
        instead = f"save text as numpy.array({name}, dtype=str), and numbers with dtype=int"
        if name == "images":
            instead = "all images need one size and the type uint8; those of several sizes go into a folder of files"
        raise InputError(f"'{path}': {name} holds Python objects: {instead}") from error


def labels_in(arrays: Any, count: int, path: Path) -> Any:
    """The labels of a file's arrays; as many times ``NONE`` where it has none."""
    labels = array_in(arrays, "labels", path) if "labels" in arrays else numpy.full(count, NONE)
    if NONE in labels and (labels != NONE).any():
        raise InputError(f"'{path}': some labels are {NONE}, which is no class: leave these images out, or all labels")
    if numpy.not_equal(labels, labels).any():  # as NaN is
        raise InputError(f"'{path}': some labels are NaN, which is no class: leave these images out")
    is_whole = labels.dtype.kind == "f" and bool((numpy.isfinite(labels) & (labels == numpy.floor(labels))).all())
    return labels.astype(numpy.int64) if is_whole else labels


def listed(names: list[str]) -> str:
    """Names for a message, the first of them if they are many."""
    return ", ".join(names[:12]) + (f", ... {names[-1]}" if len(names) > 12 else "")
