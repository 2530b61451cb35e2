"""A single run: its folder, training, final test, diagnosis and samples."""
