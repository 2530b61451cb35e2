"""What an image is described by: the features and class of a small classifier, one per source of images."""
