"""Replacements of PyTorch's layers that are faster on a CPU; ``use_fast_layers`` puts them into a network."""
