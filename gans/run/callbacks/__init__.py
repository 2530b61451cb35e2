"""Callbacks of the trainer: each writes one kind of record, or ends training in order."""
