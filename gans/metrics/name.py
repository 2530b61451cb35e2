"""Names of metric values, which include the protocol."""

import re
from dataclasses import dataclass, replace

PATTERN = re.compile(
    r"(?P<figure>.+)_(?P<images>\d+)(?:_(?P<epochs>\d+)epochs)?(?:_(?P<sampling>\d+[a-z]+))?"
    r"(?:_(?P<features>[A-Za-z]\w*\d(?:-[0-9a-f]+)?))?"
)

OF_CLASS = re.compile(r"(?:(?P<quantity>.+)_of|(?P<share>class_share))_(?P<label>\d+)")


def of_class(figure: str) -> tuple[str, int] | None:
    """The quantity and the class of a figure of a single class: ``mse_of_3`` and ``class_share_3``; None for others."""
    found = OF_CLASS.fullmatch(figure)
    return (found["quantity"] or found["share"], int(found["label"])) if found else None


@dataclass(frozen=True)
class MetricName:
    """A metric value and its protocol; as text ``fid_10000_mnist1`` or ``synthetic_accuracy_3000_3epochs``.

    ``fid_10000_80drs_mnist1`` is of samples that ``sampling=drs`` has chosen.
    """

    figure: str
    """The name without the protocol: fid."""
    images: int
    """The number of images of each kind."""
    features: str | None = None
    """The name of the feature extractor; None if none was used."""
    epochs: int | None = None
    """For how many epochs a classifier was trained on the images; None if none was."""
    sampling: str | None = None
    """How the generated images were chosen, a number and a word; None if all were used."""

    def __str__(self) -> str:
        epochs = f"{self.epochs}epochs" if self.epochs is not None else None
        return "_".join(filter(None, (self.figure, str(self.images), epochs, self.sampling, self.features)))

    @property
    def details(self) -> list[str]:
        """The protocol but for the number of images, for people."""
        epochs = f"{self.epochs} epochs" if self.epochs is not None else None
        return [text for text in (epochs, self.sampling, self.features) if text]

    @property
    def of_real_images(self) -> "MetricName":
        """The same metric of real images in place of generated ones."""
        return replace(self, sampling=None)

    @classmethod
    def parse(cls, text: str) -> "MetricName | None":
        """Parse a name; None if it has no protocol, such as a loss."""
        found = PATTERN.fullmatch(text)
        if not found:
            return None
        epochs = None if found["epochs"] is None else int(found["epochs"])
        return cls(found["figure"], int(found["images"]), found["features"], epochs, found["sampling"])
