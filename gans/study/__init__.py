"""Studies: from many finished runs to an answer."""

from gans.study.compare import Comparison, compare

__all__ = ["Comparison", "compare"]
