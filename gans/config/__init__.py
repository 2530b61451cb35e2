"""From a command line to checked objects: resolve, validate, build."""
