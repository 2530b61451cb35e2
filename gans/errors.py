"""The ways in which a command ends early, each with one line for the person who typed it."""


class InputError(Exception):
    """What was asked for can't be done: the message says what is wrong, where, and what to write instead."""

    exit_code = 2


class TrainingError(Exception):
    """Training can't go on, although what was asked for made sense: a loss that is no longer finite."""

    exit_code = 3


class InterruptedTraining(Exception):
    """Ctrl-C or a request to terminate (SIGTERM); what was under way is saved.

    Args:
        signal_number: of the signal; the exit code is 128 more, as shells have it.
    """

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.signal_number = signal_number
        self.exit_code = 128 + signal_number


def one_line(error: BaseException) -> str:
    """An exception's message, without line breaks."""
    return " ".join(str(error).split()) or type(error).__name__
