"""Callbacks of the trainer: each writes one kind of file, shows progress, or handles signals."""
