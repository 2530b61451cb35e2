"""Agreement between the requested class and the predicted class."""

from gans.metrics.base import EvaluationData, Metric


class ClassAgreement(Metric):
    """``class_agreement``: the share of generated images whose predicted class is the requested class."""

    values = ("class_agreement",)

    def applies(self, data: EvaluationData) -> bool:
        return data.conditional and data.classes_are_known

    def compute(self, data: EvaluationData) -> dict[str, float]:
        return {"class_agreement": (data.fake.predicted == data.fake.labels).float().mean().item()}
