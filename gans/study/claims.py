"""Judgement of claims that were written down before the runs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from gans.study.compare import Comparison
from gans.study.define import Claim, ClaimPart
from gans.study.statistics import LEVEL, seeds_needed

Judgement = Literal["holds", "fails", "undecided"]


@dataclass(frozen=True)
class JudgedClaim:
    claim: Claim
    judgement: Judgement
    parts: list[tuple[ClaimPart, Comparison, Judgement]]


def judge_claims(claims: Sequence[Claim], compare_at: Callable[[ClaimPart, float], Comparison]) -> list[JudgedClaim]:
    """Judge a family of m claims, each comparison at level 0.05/m.

    So with probability 95 % no false claim is said to hold. If each claim has one part, no true one is said to fail.

    Args:
        compare_at: compares a part's two arms, at a level.
    """
    judged = []
    for claim in claims:
        comparisons = [(part, with_seeds(part, compare_at(part, LEVEL / len(claims)))) for part in claim.parts]
        parts = [(part, comparison, judge(part, comparison)) for part, comparison in comparisons]
        states = {state for _, _, state in parts}
        whole: Judgement = "fails" if "fails" in states else "undecided" if "undecided" in states else "holds"
        judged.append(JudgedClaim(claim, whole, parts))
    return judged


def with_seeds(part: ClaimPart, comparison: Comparison) -> Comparison:
    """A comparison with the number of seeds that would decide a part: for ``no difference`` those until the sequence
    lies wholly inside or wholly outside the zone."""
    if part.expect != "no difference":
        return comparison
    zone = comparison.figure.zone
    needed = seeds_needed(comparison.differences, zone, comparison.level, beyond=zone)
    return replace(comparison, seeds_needed=needed)


def judge(part: ClaimPart, comparison: Comparison) -> Judgement:
    """``lower`` and ``higher`` fail if the other or no difference that matters is established; ``no difference`` fails
    if the whole confidence sequence lies outside the zone of differences that do not matter."""
    no_difference = comparison.verdict == "no difference that matters"
    interval, zone = comparison.interval, comparison.figure.zone
    if part.expect == "no difference":
        is_outside = interval.high < -zone or interval.low > zone
        return "holds" if no_difference else "fails" if is_outside else "undecided"
    if no_difference:
        return "fails"
    if not comparison.is_established:
        return "undecided"
    return "holds" if (comparison.mean < 0) == (part.expect == "lower") else "fails"
