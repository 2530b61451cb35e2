"""Names of metric values, which include the protocol."""

import re
from dataclasses import dataclass

PATTERN = re.compile(r"(?P<figure>.+)_(?P<images>\d+)(?:_(?P<features>[A-Za-z]\w*\d(?:-[0-9a-f]+)?))?")


@dataclass(frozen=True)
class MetricName:
    """A metric value and its protocol; as text ``fid_10000_mnist1``."""

    figure: str
    """The name without the protocol: fid."""
    images: int
    """The number of images of each kind."""
    features: str | None = None
    """The name of the feature extractor; None if none was used."""

    def __str__(self) -> str:
        return "_".join((self.figure, str(self.images), *([self.features] if self.features else [])))

    @classmethod
    def parse(cls, text: str) -> "MetricName | None":
        """Parse a name; None if it has no protocol, such as a loss."""
        found = PATTERN.fullmatch(text)
        return cls(found["figure"], int(found["images"]), found["features"]) if found else None
