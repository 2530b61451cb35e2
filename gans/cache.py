"""The folder for what is computed once per user: feature networks of other data sets, floors."""

import os
from pathlib import Path

from platformdirs import user_cache_path


def cache_folder() -> Path:
    """``GANS_CACHE``, or the user's cache folder of the platform; perhaps not there yet."""
    chosen = os.environ.get("GANS_CACHE")
    return Path(chosen) if chosen else user_cache_path("gans")
