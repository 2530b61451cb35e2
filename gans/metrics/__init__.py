"""Measures of images. They see images and features, never networks."""
