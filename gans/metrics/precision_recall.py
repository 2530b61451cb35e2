"""Improved precision and recall (Kynkäänniemi et al. 2019, equation 2)."""

from torch_fidelity.metric_prc import prc_features_to_metric

from gans.metrics.base import EvaluationData, Metric


class PrecisionRecall(Metric):
    """``precision``: the share of generated images inside the real manifold. ``recall``: the reverse.

    A manifold is a union of balls around its images. The radius is the distance to the third-nearest neighbour, as in
    the paper.
    """

    minimum = 4

    def compute(self, data: EvaluationData) -> dict[str, float]:
        values = prc_features_to_metric(
            data.fake.features,
            data.real.features,
            prc_neighborhood=3,
            prc_batch_size=2000,
            save_cpu_ram=True,
            verbose=False,
        )
        return {"precision": values["precision"], "recall": values["recall"]}
