"""Whether a conditional generator draws what it was asked for."""

from gans.metrics.base import Evidence, Metric


class ClassAgreement(Metric):
    """``class_agreement``, the share of images in which the classifier sees the class that was asked for."""

    def applies(self, evidence: Evidence) -> bool:
        return evidence.conditional

    def compute(self, evidence: Evidence) -> dict[str, float]:
        return {"class_agreement": (evidence.fake.named == evidence.fake.labels).float().mean().item()}
