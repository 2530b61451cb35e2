"""What the words of a study's page mean, for a reader who has nothing else."""

from gans.run.diagnose import definition_of
from gans.study.analyse import ENDED, StudyResult
from gans.study.figures_of_merit import RANK_CORRELATION, plain_name
from gans.study.statistics import LEVEL

MEANINGS = {
    "fid": "Fréchet distance between the features of generated and of real images.",
    "kid": "squared distance between the means of both kinds of features, by a polynomial kernel.",
    "precision": "share of generated images whose features lie near those of some real image: do they look real?",
    "recall": "share of real images whose features lie near those of some generated one: are all kinds made?",
    "density": "how many real neighbourhoods a generated image lies in, relative to what is expected.",
    "coverage": "share of real images that have a generated one among their nearest neighbours.",
    "class_kl": "how much the shares of the classes differ from those of real images (KL divergence); 0: not at all.",
    "mode_kl": "how much the shares of the modes differ from the true ones (KL divergence); 0: not at all.",
    "modes": "number of modes that have samples.",
    "high_quality": "share of samples near a mode.",
    "inception_score": "exponential of the mean divergence of an image's predicted classes from those of all images.",
    "class_agreement": "share of generated images that a classifier puts into the class they were asked for.",
    "synthetic_accuracy": "accuracy on real images of a classifier that was trained on generated ones.",
    "mse": "mean squared error of pixels.",
    "ssim": "structural similarity of images.",
    "late_fluctuation.discriminator_loss": "standard deviation of the discriminator's loss over the second half of the "
    "training steps. What changes the loss itself, such as other targets, changes this too.",
    "late_fluctuation.generator_loss": "standard deviation of the generator's loss over the second half of the "
    "training steps. What changes the loss itself changes this too.",
    "late_fluctuation.fid": "standard deviation of validation FID over the second half of training, by its mean.",
    "seconds": "time of training and test.",
    RANK_CORRELATION: "whether the two rise and fall together over the validations of a run (Spearman): 1 always, -1 "
    "never, 0 no relation. Of a training curve, the mean since the validation before counts.",
}
"""The figures of the package, in a sentence."""


def glossary(result: StudyResult) -> list[tuple[str, str]]:
    """The words of a result, with their meanings."""
    figures = {merit.title: meaning_of(merit.name) for merit in result.definition.merits}
    labels = [trouble.label for troubles in result.troubles.values() for trouble in troubles]
    diagnoses = {label: definition_of(label) for label in labels}
    if ENDED in labels:
        diagnoses[ENDED] = "a loss or weight became infinite or not a number, and training stopped."
    words = words_of_comparisons(result) | figures | diagnoses
    return [(word, meaning) for word, meaning in words.items() if meaning]


def meaning_of(figure: str) -> str:
    return MEANINGS.get(RANK_CORRELATION if figure.startswith(RANK_CORRELATION) else plain_name(figure), "")


def words_of_comparisons(result: StudyResult) -> dict[str, str]:
    scales, claims = {merit.scale for merit in result.definition.merits}, len(result.claims)
    words = {
        "arm": "the settings that are compared with others; a command for each is at the end.",
        "seed": "the number that all of a run's randomness follows from.",
        "pair": f"the runs of one seed in an arm and in {result.definition.baseline}.",
    }
    if "ratio" in scales:
        words["× 0.8"] = "a figure is 0.8 times that of the arm it is compared with: the geometric mean over pairs."
    if "share" in scales:
        words["points"] = "a difference of shares, in hundredths: from 0.20 to 0.25 is +5 points."
    needed = f" To decide one of {claims} claims takes {claims / LEVEL:.0f}." if claims else ""
    words["e-value"] = (
        f"evidence of a difference; 1 or less is none. Where there is no difference, at most one study in "
        f"{1 / LEVEL:.0f} ever reaches {1 / LEVEL:.0f}, however often one looks.{needed}"
    )
    if claims:
        words[f"{100 * (1 - LEVEL / claims):.3g} %"] = (
            f"how sure the interval of each claim is, so that with {100 * (1 - LEVEL):.0f} % none of {claims} claims "
            "that are said to hold is wrong. Intervals in the table stand for themselves, and are narrower if there "
            "are several claims."
        )
    if claims:
        words["holds, fails"] = "what the claim expects is so, or is not so: the difference is the other way, or small."
    words["better, worse"] = "there is a difference; it may be smaller than one that matters."
    words["no difference that matters"] = "the whole interval lies within the shaded zone of small differences."
    words["undecided"] = "these runs can't tell yet. It does not mean that there is no difference."
    return words
