"""Figures of merit: one per file. They see images and their features, never a network of the run."""
