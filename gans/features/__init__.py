"""Feature extraction: a small classifier for each source of images."""
