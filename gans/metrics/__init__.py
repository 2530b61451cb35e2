"""Metrics, one per file. They use samples and features, never a network of the run."""
