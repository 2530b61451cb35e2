"""Sets up the process of a command, once PyTorch and Lightning are imported."""

import threading

from hydra.core.hydra_config import HydraConfig

from gans.config.command_line import make_importable, silence_lightning
from gans.config.shell import config_dirs
from gans.machine import flush_denormals, use_cores


def prepare() -> None:
    """Make classes in the folder of --config-dir importable, silence Lightning's log, and set up PyTorch's threads."""
    make_importable(config_dirs(HydraConfig.get()))
    silence_lightning()  # the import of Lightning has set log levels
    use_cores()
    flush_denormals()
    threading.excepthook = tell_of_thread


def tell_of_thread(arguments: threading.ExceptHookArgs) -> None:
    """Tell an error in a thread, but what TensorBoard's writer raises again in the main thread, such as a full disk."""
    if not (isinstance(arguments.exc_value, OSError) and type(arguments.thread).__name__ == "_AsyncWriterThread"):
        threading.__excepthook__(arguments)
