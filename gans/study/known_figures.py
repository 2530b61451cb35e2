"""What is known of the package's own figures: what they are called and mean, and how they are compared."""

from dataclasses import dataclass
from typing import Literal

Scale = Literal["ratio", "share", "correlation", "difference"]
"""How two values are compared: ``ratio``, the log of their quotient, of positive values without an upper end;
``share``, the difference of values from 0 to 1, shown in points; ``correlation``, the difference of values from -1 to
1; ``difference``, of any values."""
Direction = Literal["lower", "higher"]

TRAINING_STEP = "training_step"
LATE_FLUCTUATION, RANK_CORRELATION = "late_fluctuation.", "rank_correlation."
"""How the names of figures of a run's curves begin."""


@dataclass(frozen=True)
class Known:
    """What is known of a figure. Without scale and direction a study has to say how it compares it."""

    title: str
    meaning: str = ""
    scale: Scale | None = None
    better: Direction | None = None
    matters: float | None = None
    """The smallest difference that matters, where it is not the usual one of the scale."""


KNOWN = {
    "fid": Known("FID", "Fréchet distance between the features of generated and of real images.", "ratio", "lower"),
    "precision": Known(
        "precision",
        "share of generated images whose features lie near those of some real image: do they look real?",
        "share",
        "higher",
    ),
    "recall": Known(
        "recall",
        "share of real images whose features lie near those of some generated one: are all kinds made?",
        "share",
        "higher",
    ),
    "class_kl": Known(
        "class KL",
        "how much the shares of the classes differ from those of real images (KL divergence); 0: not at all.",
        "ratio",
        "lower",
    ),
    "high_quality": Known("share of good samples", "share of samples near a mode.", "share", "higher"),
    "late_fluctuation.discriminator_loss": Known(
        "late fluctuation of D's loss",
        "standard deviation of the discriminator's loss over the second half of the training steps. What changes the "
        "loss itself, such as other targets, changes this too.",
        "ratio",
        "lower",
    ),
    "late_fluctuation.generator_loss": Known(
        "late fluctuation of G's loss",
        "standard deviation of the generator's loss over the second half of the training steps. What changes the loss "
        "itself changes this too.",
        "ratio",
        "lower",
    ),
    "modes": Known("modes", "number of modes that have samples.", "difference", "higher", matters=0.5),
    "mode_kl": Known(
        "mode KL",
        "how much the shares of the modes differ from equal ones (KL divergence); 0: not at all.",
        "ratio",
        "lower",
    ),
    "mse": Known("MSE", "mean squared error of pixels.", "ratio", "lower"),
    "coverage": Known(
        "coverage",
        "share of real images that have a generated one among their nearest neighbours.",
        "share",
        "higher",
    ),
    "density": Known(
        "density",
        "how many real neighbourhoods a generated image lies in, relative to what is expected.",
        "ratio",
        "higher",
    ),
    "class_agreement": Known(
        "class agreement",
        "share of generated images that a classifier puts into the class they were asked for.",
        "share",
        "higher",
    ),
    "class_kept": Known(
        "class kept", "share of output images that a classifier puts into the input's class.", "share", "higher"
    ),
    "synthetic_accuracy": Known(
        "synthetic accuracy",
        "accuracy on real images of a classifier that was trained on generated ones.",
        "share",
        "higher",
    ),
    "inception_score": Known(
        "inception score",
        "exponential of the mean divergence of an image's predicted classes from those of all images.",
        "ratio",
        "higher",
    ),
    "ssim": Known("SSIM", "structural similarity of images.", "correlation", "higher", matters=0.05),
    "kid": Known("KID", "squared distance between the means of both kinds of features, by a polynomial kernel."),
    "kid_error": Known("standard error of KID", "how much KID would vary with other images."),
    "copying": Known(
        "copying",
        "how often a generated image is nearer to some training image than a held-out image is: about 1/2 without "
        "copying, 1 for copies.",
    ),
    "neighbour_distance": Known(
        "neighbour distance", "median distance of generated images to their nearest training image, in features."
    ),
    "held_out_neighbour_distance": Known(
        "neighbour distance of real images", "median distance of held-out images to their nearest training image."
    ),
    "late_fluctuation.fid": Known(
        "late fluctuation of FID",
        "standard deviation of validation FID over the second half of training, by its mean.",
        "ratio",
        "lower",
    ),
    "seconds": Known("seconds", "time of training and test.", "ratio", "lower"),
    "discriminator_loss": Known("D's loss"),
    "generator_loss": Known("G's loss"),
    "discriminator_accuracy": Known("D's accuracy", "share of samples that the discriminator takes for what they are."),
    "generator_accuracy": Known("G's accuracy", "share of generated samples that the discriminator takes for real."),
    TRAINING_STEP: Known("the training step"),
}
"""In the order in which runs that exist are compared by them."""
OF_RANK_CORRELATION = (
    "whether the two rise and fall together over the validations of a run (Spearman): 1 always, -1 never, 0 no "
    "relation. Of a training curve, the mean since the validation before counts."
)


def known(name: str) -> Known:
    """What is known of a figure, which has no checkpoint or training step in its name.

    ``rank_correlation.<curve>.<figure>`` is compared as correlations are; better is what is better of its figure.
    """
    if not name.startswith(RANK_CORRELATION):
        return KNOWN.get(name, Known(name.replace("_", " ").replace(".", ": ")))
    curve, figure = map(known, curve_and_figure(name))
    title = f"rank correlation of {curve.title} and {figure.title}"
    return Known(title, OF_RANK_CORRELATION, "correlation", figure.better)


def curve_and_figure(name: str) -> tuple[str, str]:
    """What a figure ``rank_correlation.<curve>.<figure>`` is of."""
    curve, figure = name.removeprefix(RANK_CORRELATION).split(".")
    return curve, figure
