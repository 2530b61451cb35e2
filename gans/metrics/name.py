"""How a figure's name tells its protocol."""

import re
from dataclasses import dataclass

PATTERN = re.compile(r"(?P<figure>.+)_(?P<images>\d+)(?:_(?P<features>[a-z_]*\d+))?")


@dataclass(frozen=True)
class MetricName:
    """A figure of merit and how it was computed; as text ``fid_10000_mnist1``."""

    figure: str
    """What was computed: fid."""
    images: int
    """Of how many images of each kind."""
    features: str | None = None
    """The name of the feature extractor; None where none was used."""

    def __str__(self) -> str:
        return "_".join((self.figure, str(self.images), *([self.features] if self.features else [])))

    @classmethod
    def parse(cls, text: str) -> "MetricName | None":
        """From text; None for a name without a protocol, such as a loss."""
        found = PATTERN.fullmatch(text)
        return cls(found["figure"], int(found["images"]), found["features"]) if found else None
