"""One run: its folder, training, final test, diagnosis, export and sampling."""
