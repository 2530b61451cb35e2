"""Training and saving the feature network of a source: ``python features.py data=mnist``."""

import shlex
import sys
from pathlib import Path
from typing import Any

from gans.config.build import read_data
from gans.config.schema import FeaturesConfig
from gans.config.validate import check_options, validate_choice
from gans.data.images import ImageData
from gans.data.source import Source
from gans.data.stacked import Stacked
from gans.errors import InputError
from gans.features.files import is_shipped, network_name, save_features
from gans.features.learn import Recipe, learn_features
from gans.files import cache_folder, require_writable
from gans.run.output import refuse_file_name


def make_features(options: dict[str, Any]) -> Path:
    """Train and save a feature network. Returns the path of its card.

    Raises:
        InputError: before training, for data other than all images of a source, white on black, and for a folder that
            can't be written; after it, if the network knows too little.
    """
    config = check_options(FeaturesConfig, options)
    validate_choice(config.data, "data", "data")
    refuse_file_name(config.output)
    folder = Path(config.output) if config.output else cache_folder() / "features"
    data = require_whole_source(read_data(config.data, config.seed))
    if config.output is None and is_shipped(data.source, data.data_sha256):
        raise InputError(
            f"the feature network of data={data.source} comes with the package: give output=... to train another one"
        )
    require_writable(folder)
    options = config.model_dump(exclude={"data", "output"})
    network, card = learn_features(data, Recipe(**options))
    card["command"] = shlex.join(["python", Path(sys.argv[0]).name, *sys.argv[1:]])
    return save_features(network, network_name(data.source, data.data_sha256), folder, card)


def require_whole_source(data: Source) -> ImageData:
    """Refuse data that no feature network learns, or options that take something from them."""
    if isinstance(data, Stacked):
        raise InputError(f"stacked digits are described by the feature network of single ones: use data={data.source}")
    if not isinstance(data, ImageData):
        raise InputError(f"data={data.source} needs no feature network: use other data, such as data=mnist")
    for option in ("invert", "limit", "replacement", "val_size", "label_noise", "split_seed"):
        if getattr(data, option):
            raise InputError(f"data.{option}: a feature network needs all images of a source, as they are")
    if data.batch_size != 1:
        raise InputError(f"data.batch_size={data.batch_size} is of GANs: write batch_size={data.batch_size} instead")
    everything = list(range(len(data.class_names)))
    if data.classes != everything:
        raise InputError(f"data.classes: a feature network needs all classes of a source in order: use {everything}")
    if len(everything) < 2:
        raise InputError(f"data={data.source} has one class, from which a classifier learns nothing: use metric=none")
    return data
