"""Whether a conditional generator draws what it was asked for."""

from gans.metrics.base import EvaluationData, Metric


class ClassAgreement(Metric):
    """``class_agreement``, the share of images in which the classifier sees the class that was asked for."""

    def applies(self, data: EvaluationData) -> bool:
        return data.conditional

    def compute(self, data: EvaluationData) -> dict[str, float]:
        return {"class_agreement": (data.fake.named == data.fake.labels).float().mean().item()}
