"""A single run: its folder, training, final test, diagnosis, export and sampling."""
