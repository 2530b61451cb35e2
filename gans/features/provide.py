"""The feature extractor of a run's data: its own, the package's, the cached one, a new one, or Inception."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from gans.data.extractor import FeatureExtractor
from gans.data.source import Source
from gans.errors import InputError, warn
from gans.features.files import TrainedFeatureNetwork, cached_card, find_features, load_saved, save_features
from gans.features.inception import load_inception
from gans.features.learn import Recipe, learn_features
from gans.files import only_one


def provide_features(data: Source, command: str) -> FeatureExtractor:
    """What describes the samples of a data module, which is set up.

    The network of a source with two or more classes is trained when it is first needed, and kept in the user's cache. A
    source without classes is described by Inception.

    Args:
        command: the command that trains such a network with other options, for error messages.

    Raises:
        InputError: if the network learns too little, or Inception can't be had.
    """
    if data.feature_extractor:
        return data.feature_extractor
    if len(data.class_names) < 2:
        return load_inception(data.source)
    return find_features(data) or _trained_once(data, command)


def _trained_once(data: Source, command: str) -> TrainedFeatureNetwork:
    card_path = cached_card(data)
    with _one_at_a_time(card_path.with_suffix(".lock")):
        if found := find_features(data):  # another process has trained it meanwhile
            return found
        print(f"training the feature network of data={data.source}, {card_path.stem}, once", flush=True)
        try:
            network, card = learn_features(data, Recipe())
        except InputError as error:
            raise InputError(f"{error}, or use metric=none. The command is: {command}") from error
        card["command"] = command
        try:
            return load_saved(save_features(network, card_path.stem, card_path.parent, card))
        except OSError as error:
            warn(
                f"'{card_path.parent}' can't be written ({error.strerror or error}), so every run trains the "
                "feature network again: name another folder with GANS_CACHE"
            )
    with TemporaryDirectory() as folder:
        return load_saved(save_features(network, card_path.stem, Path(folder), card))


@contextmanager
def _one_at_a_time(lock: Path) -> Iterator[None]:
    """One process at a time; without a lock where the folder can't be written."""
    with ExitStack() as stack:
        with suppress(OSError):
            lock.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(only_one(lock, "makes this feature network"))
        yield
