"""Whether a generator that transforms images keeps their class."""

from gans.metrics.base import EvaluationData, ImageMetric


class ClassKept(ImageMetric):
    """``class_kept``: the share of outputs whose predicted class is the class of the input."""

    values = ("class_kept",)

    def applies(self, data: EvaluationData) -> bool:
        return super().applies(data) and data.answers is not None and data.classes_are_known

    def compute(self, data: EvaluationData) -> dict[str, float]:
        return {"class_kept": (data.fake.predicted == data.fake.labels).float().mean().item()}
