"""What the words of a study's page mean, for a reader who has nothing else."""

from gans.run.diagnose import definition_of
from gans.study.analyse import ENDED, ROLLED_BACK, StudyResult
from gans.study.figures_of_merit import plain_name
from gans.study.known_figures import known
from gans.study.statistics import LEVEL


def glossary(result: StudyResult) -> list[tuple[str, str]]:
    """The words of a result, with their meanings."""
    figures = {merit.title: known(plain_name(merit.name)).meaning for merit in result.definition.merits}
    labels = [trouble.label for troubles in result.troubles.values() for trouble in troubles]
    diagnoses = {label: definition_of(label) for label in labels}
    if ENDED in labels:
        diagnoses[ENDED] = "a loss or weight became infinite or not a number, and training stopped."
    if ROLLED_BACK in labels:
        diagnoses[ROLLED_BACK] = "training went on from a checkpoint before it, with other random numbers."
    words = words_of_comparisons(result) | figures | diagnoses
    return [(word, meaning) for word, meaning in words.items() if meaning]


def words_of_comparisons(result: StudyResult) -> dict[str, str]:
    scales, claims = {merit.scale for merit in result.definition.merits}, len(result.claims)
    words = {
        "arm": "the settings that are compared with others.",
        "seed": "the number that all of a run's randomness follows from, but for the split of the data.",
        "pair": f"the runs of one seed in an arm and in {result.definition.baseline}.",
    }
    if "ratio" in scales:
        words["× 0.8"] = "a figure is 0.8 times that of the arm it is compared with: the geometric mean over pairs."
    if "share" in scales:
        words["points"] = "a difference of shares, in hundredths: from 0.20 to 0.25 is +5 points."
    needed = f" To decide one of {claims} claims takes {claims / LEVEL:.0f}." if claims > 1 else ""
    words["e-value"] = (
        f"evidence of a difference; 1 or less is none. Where there is no difference, at most one study in "
        f"{1 / LEVEL:.0f} ever reaches {1 / LEVEL:.0f}, however often one looks.{needed}"
    )
    if claims > 1:
        words[f"{100 * (1 - LEVEL / claims):.3g} %"] = (
            f"how sure the interval of each claim is, so that with {100 * (1 - LEVEL):.0f} % none of {claims} claims "
            "that are said to hold is wrong. Intervals in the table are of one comparison each, and narrower."
        )
    if claims:
        words["holds, fails"] = (
            "what the claim expects is so, or is not so: the difference is the other way, or small; or, where none is "
            "expected, it matters."
        )
    words["better, worse"] = "there is a difference; it may be smaller than one that matters."
    words["no difference that matters"] = "the whole interval lies within the shaded zone of small differences."
    words["undecided"] = "these runs can't tell yet. It does not mean that there is no difference."
    return words
