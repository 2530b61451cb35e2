"""A sweep: many runs, several at once."""
