"""Errors that end a command with a one-line message and an exit code."""


class InputError(Exception):
    """The command, config or data are wrong: the message says what is wrong, where, and what to write instead."""

    exit_code = 2


class TrainingError(Exception):
    """Training cannot continue, although the config is valid: the loss is no longer finite."""

    exit_code = 3


class InterruptedTraining(BaseException):  # libraries may catch any Exception
    """Training was stopped by Ctrl-C or SIGTERM, after saving a checkpoint.

    Args:
        signal_number: the signal's number; the exit code is 128 + this number, as in shells.
    """

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.signal_number = signal_number
        self.exit_code = 128 + signal_number


def one_line(error: BaseException) -> str:
    """An exception's message, without line breaks."""
    return " ".join(str(error).split()) or type(error).__name__
