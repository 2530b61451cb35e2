"""The two ways in which a command ends early, each with one line for the person who typed it."""


class InputError(Exception):
    """What was asked for can't be done: the message says what is wrong, where, and what to write instead."""

    exit_code = 2


class TrainingError(Exception):
    """Training can't go on, although what was asked for made sense: a loss that is no longer finite."""

    exit_code = 3


class InterruptedTraining(Exception):
    """The person pressed Ctrl-C; what was under way is saved."""

    exit_code = 130
