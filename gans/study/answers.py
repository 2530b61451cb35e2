"""A study's answers in words: one for each claim, or for each figure where nothing was claimed."""

import math
from dataclasses import dataclass

from gans.study.analyse import StudyResult
from gans.study.claims import JudgedClaim
from gans.study.compare import Comparison
from gans.study.figures_of_merit import MINUS, FigureOfMerit

FEW = 3
"""Up to so many undecided arms are described; if there are more, they are only named."""


@dataclass(frozen=True)
class Answer:
    text: str
    """What was claimed, or which figure it is about."""
    source: str
    verdict: str
    """Of a claim: holds, fails, undecided. Of a figure: what holds for all arms, or "depends on the arm"."""
    details: tuple[str, ...]
    """For each comparison: figure, arms, effect with its confidence sequence, pairs and evidence."""


def answers(result: StudyResult) -> list[Answer]:
    if result.claims:
        return [
            Answer(
                judged.claim.text,
                judged.claim.source,
                judged.judgement,
                tuple(
                    f"expected {part.expect}{_state(state, judged)}: "
                    + describe(part.arm, result.definition.compared_with(part), found)
                    + (outlook(found, part.expect) if state == "undecided" else "")
                    for part, found, state in judged.parts
                ),
            )
            for judged in result.claims
        ]
    return [_of_figure(result, merit) for merit in result.definition.merits]


def _of_figure(result: StudyResult, merit: FigureOfMerit) -> Answer:
    """The arms against the baseline, the best first."""
    found = {arm: figures[merit.name] for arm, figures in result.comparisons.items()}
    sign = 1 if merit.better == "lower" else -1
    best_first = sorted(found, key=lambda arm: (math.isnan(found[arm].mean), sign * found[arm].mean))
    undecided = [arm for arm in best_first if found[arm].verdict == "undecided"]
    named = undecided if len(undecided) > FEW else []
    details = [
        describe(arm, result.definition.baseline, found[arm])
        + (outlook(found[arm]) if found[arm].verdict == "undecided" else "")
        for arm in best_first
        if arm not in named
    ]
    verdicts = {each.verdict for each in found.values()}
    return Answer(
        merit.title,
        "",
        verdicts.pop() if len(verdicts) == 1 else "depends on the arm",
        (*details, *([f"undecided: {'; '.join(named)}"] if named else [])),
    )


def _state(state: str, judged: JudgedClaim) -> str:
    """The judgement of a part, where it is not that of the whole claim."""
    return f", {state}" if len(judged.parts) > 1 else ""


def describe(arm: str, than: str | float, found: Comparison) -> str:
    """What a comparison found, in words.

    "FID, ema against none: mean of 8 pairs × 0.435 (97.5 %: 0.297 to 0.637), e-value 515 (40 needed), medians 11.8
    against 25.5".
    """
    figure, (before, after) = found.figure, found.medians
    kind = "pair" if isinstance(than, str) else "run"
    pairs = f"{len(found.seeds)} {kind}{'s' * (len(found.seeds) != 1)}"
    text = f"{figure.title}, {arm} against {than if isinstance(than, str) else number(than)}: "
    if found.is_same_in_all:
        text += f"{figure.text(found.mean)} in each of {pairs}, which does not tell how much {kind}s differ"
    else:
        text += (
            f"mean of {pairs} {figure.text(found.mean)} ({100 * (1 - found.level):.3g} %: "
            f"{figure.range_text(found.interval.low, found.interval.high)}), e-value {number(found.evidence)} "
            f"({number(1 / found.level)} needed)"
        )
    if found.seeds:
        text += f", medians {number(after)} against {number(before)}"
    if found.missing:
        text += f"; without {found.missing} that lack the figure"
    return text


def outlook(found: Comparison, expected: str = "") -> str:
    """How many more seeds would decide what is open, and what they would show, if they are like the others.

    Args:
        expected: what a claim expects.
    """
    if found.is_same_in_all:
        return ""
    if len(found.differences) < 2:
        return "; too few pairs to tell how many seeds would decide"
    if not found.seeds_needed:
        return "; far from decided"
    more = max(1, found.seeds_needed - len(found.seeds))
    least = found.figure.zone if expected == "no difference" else found.figure.zone / 2
    direction = "lower" if found.mean < 0 else "higher"
    likely = direction if abs(found.mean) > least else "no difference that matters"
    return f"; about {more} more seed{'s' * (more > 1)} like these would decide: {likely}"


def number(value: float) -> str:
    """Three digits, without an exponent up to a million."""
    return (f"{value:,.0f}" if 100 <= abs(value) < 1e6 else f"{value:.3g}").replace("-", MINUS)
