"""How far a generator that transforms images is from the exact answer."""

import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from gans.metrics.base import EvaluationData, ImageMetric


class Reconstruction(ImageMetric):
    """``mse`` in [0, 1], 0 when exact, and ``ssim`` in [-1, 1], 1 when exact: overall, and ``mse_of_<c>`` per class;
    in the run's own colours.

    SSIM is Wang et al. 2004, equation 13, with an 11x11 Gaussian window of deviation 1.5.
    """

    uses_features = False

    def applies(self, data: EvaluationData) -> bool:
        return super().applies(data) and data.answers is not None

    def compute(self, data: EvaluationData) -> dict[str, float]:
        assert data.answers is not None
        outputs, answers = (pixels / 255 for pixels in (data.fake.images, data.answers))
        if data.inverted:  # SSIM is not the same of the negatives
            outputs, answers = 1 - outputs, 1 - answers
        each = reconstruction_errors(outputs, answers)
        overall = {name: values.mean().item() for name, values in each.items()}
        labels = data.fake.labels
        of_class = {
            f"{name}_of_{label}": values[labels == label].mean().item()
            for label in labels.unique().tolist()
            for name, values in each.items()
        }
        return overall | of_class


def reconstruction_errors(outputs: Tensor, answers: Tensor) -> dict[str, Tensor]:
    """``mse`` and ``ssim`` of each of the images, shape (n, 1, height, width) in [0, 1]: one value per image, (n,)."""
    similar = []
    for pair in zip(outputs.split(1000), answers.split(1000), strict=True):
        values = structural_similarity_index_measure(*pair, data_range=1.0, reduction="none")
        assert isinstance(values, Tensor)  # a tuple only where more is asked for
        similar.append(values.reshape(-1))
    return {"mse": (outputs - answers).square().flatten(1).mean(1), "ssim": torch.cat(similar)}
