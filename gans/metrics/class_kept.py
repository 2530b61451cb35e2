"""Whether a generator that transforms images keeps what they show."""

from gans.metrics.base import Evidence, ImageMetric


class ClassKept(ImageMetric):
    """``class_kept``, the share of outputs in which the classifier sees the class of the input."""

    def applies(self, evidence: Evidence) -> bool:
        return super().applies(evidence) and evidence.answers is not None

    def compute(self, evidence: Evidence) -> dict[str, float]:
        return {"class_kept": (evidence.fake.named == evidence.fake.labels).float().mean().item()}
