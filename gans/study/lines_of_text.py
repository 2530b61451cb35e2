"""Texts of figures in lines of a given width."""

import re

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextToPath


def width_of(text: str, size: float) -> float:
    """The width of the widest line, in points."""
    measure, font = TextToPath().get_text_width_height_descent, FontProperties(size=size)
    return max(measure(line, font, ismath=False)[0] for line in text.split("\n"))


def parts_of(text: str, size: float, width: float) -> list[str]:
    """What a line may end after: a space or ``+`` and, in words that are too wide, ``_``."""
    words = re.findall(r"[^ +]*[ +]?", text)
    return [part for word in words for part in ([word] if width_of(word, size) <= width else re.split(r"(?<=_)", word))]


def in_lines(text: str, size: float, width: float) -> str:
    """A text in lines of at most this width in points; a part that is wider goes on in the next line."""
    lines = [""]
    for part in parts_of(text, size, width):
        if width_of((lines[-1] + part).rstrip(), size) > width:
            lines.append("")
        for letter in part:
            if letter != " " and width_of(lines[-1] + letter, size) > width:
                lines.append("")
            lines[-1] += letter
    return "\n".join(line.strip() for line in lines if line.strip())


def in_two_lines(first: str, second: str, size: float, width: float) -> str:
    """Two parts of a text in one line, or in a line or more each."""
    together = f"{first} {second}"
    if width_of(together, size) <= width:
        return together
    return "\n".join(in_lines(part, size, width) for part in (first, second))
