"""One HTML page on which a trained generator runs in the browser."""
