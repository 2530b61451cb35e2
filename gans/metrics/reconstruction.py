"""The error of a generator that transforms images."""

import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from gans.metrics.base import EvaluationData, ImageMetric

LEAST_PIXELS = 6
"""Of a side: SSIM's window is reflected at the borders."""


class Reconstruction(ImageMetric):
    """``mse`` in [0, 1], 0 if exact, and ``ssim`` in [-1, 1], 1 if exact; ``mse_of_<c>``, ``ssim_of_<c>`` per class.

    SSIM is equation 13 of Wang et al. 2004, with an 11x11 Gaussian window of standard deviation 1.5.
    """

    values = ("mse", "ssim")
    uses_features = False

    def applies(self, data: EvaluationData) -> bool:
        is_large = super().applies(data) and min(data.real.images.shape[-2:]) >= LEAST_PIXELS
        return is_large and data.answers is not None

    def compute(self, data: EvaluationData) -> dict[str, float]:
        assert data.answers is not None
        outputs, answers = (pixels / 255 for pixels in (data.fake.images, data.answers))
        if data.inverted:  # back to the run's colours: SSIM of negatives differs
            outputs, answers = 1 - outputs, 1 - answers
        errors = reconstruction_errors(outputs, answers)
        overall = {name: values.mean().item() for name, values in errors.items()}
        labels = data.fake.labels
        per_class = {
            f"{name}_of_{label}": values[labels == label].mean().item()
            for label in labels.unique().tolist()
            for name, values in errors.items()
        }
        return overall | per_class


def reconstruction_errors(outputs: Tensor, answers: Tensor) -> dict[str, Tensor]:
    """``mse`` and ``ssim`` of each image, (n,), for images (n, channels, height, width) in [0, 1]."""
    similarities = []
    for pair in zip(outputs.split(1000), answers.split(1000), strict=True):
        values = structural_similarity_index_measure(*pair, data_range=1.0, reduction="none")
        assert isinstance(values, Tensor)  # it returns a tuple only with further options
        similarities.append(values.reshape(-1))
    return {"mse": (outputs - answers).square().flatten(1).mean(1), "ssim": torch.cat(similarities)}
