"""How far images are from the exact answer."""

from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure


def reconstruction_errors(outputs: Tensor, answers: Tensor) -> dict[str, Tensor]:
    """Mean squared error and structural similarity of each image.

    Args:
        outputs: shape (n, 1, height, width), pixels in [0, 1].
        answers: likewise, the exact answer to each output.

    Returns:
        ``mse`` in [0, 1], 0 when exact, and ``ssim`` in [-1, 1], 1 when exact (Wang et al. 2004, equation 13, an 11x11
        Gaussian window with deviation 1.5); one value per image, shape (n,).
    """
    similarity = structural_similarity_index_measure(outputs, answers, data_range=1.0, reduction="none")
    assert isinstance(similarity, Tensor)  # a tuple only where more is asked for
    return {"mse": (outputs - answers).square().flatten(1).mean(1), "ssim": similarity.reshape(len(outputs))}
