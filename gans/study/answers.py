"""A study's answers in words: one for each claim, or for each arm where nothing was claimed."""

from collections.abc import Iterator
from dataclasses import dataclass

from gans.study.analyse import StudyResult
from gans.study.compare import Comparison


@dataclass(frozen=True)
class Answer:
    text: str
    """What was claimed, or which arm it is about."""
    source: str
    verdict: str
    """holds, fails, undecided; or better, worse, no difference that matters, undecided."""
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
                    f"{part.arm} against {part.than or result.definition.baseline}, expected "
                    f"{part.expect}: {describe(comparison)}: {state}"
                    for part, comparison, state in judged.parts
                ),
            )
            for judged in result.claims
        ]
    baseline = result.definition.baseline
    return [
        Answer(f"{arm}: {comparison.figure.title}", "", comparison.verdict, (f"against {baseline}: "
               f"{describe(comparison)}",))
        for arm, figures in result.comparisons.items() for comparison in figures.values()
    ]  # fmt: skip


def describe(comparison: Comparison) -> str:
    """ "FID × 0.83 (95.0 %: 0.71 to 0.97), 8 pairs, e-value 24"."""
    pairs = f"{len(comparison.seeds)} pair{'s' * (len(comparison.seeds) != 1)}"
    text = (
        f"{comparison.figure.title} {comparison.figure.text(comparison.mean)} ({100 * (1 - comparison.level):.3g} %: "
        f"{comparison.figure.range_text(comparison.interval.low, comparison.interval.high)}), {pairs}, e-value "
        f"{number(comparison.evidence)}"
    )
    if comparison.missing:
        text += f"; without {comparison.missing} that lack the figure"
    more = (comparison.seeds_needed or 0) - len(comparison.seeds)
    if comparison.verdict == "undecided":
        text += (
            f"; about {max(1, more)} more seed{'s' * (more > 1)} would decide"
            if comparison.seeds_needed
            else "; far from decided"
        )
    return text


def number(value: float) -> str:
    """Three digits, without an exponent up to a million."""
    return f"{value:,.0f}" if 100 <= value < 1e6 else f"{value:.3g}"


def rows(result: StudyResult) -> Iterator[dict[str, str | int | float]]:
    """comparisons.csv: a row for each arm and figure, then for each part of each claim."""
    for arm, figures in result.comparisons.items():
        for name, comparison in figures.items():
            yield _row("arm", "", arm, result.definition.baseline, comparison, comparison.verdict) | {
                "e_bh": int((arm, name) in result.discoveries)
            }
    for judged in result.claims:
        for part, comparison, state in judged.parts:
            than = part.than or result.definition.baseline
            yield _row("claim", judged.claim.text, part.arm, than, comparison, state) | {"e_bh": ""}


def _row(
    kind: str, claim: str, arm: str, than: str, comparison: Comparison, verdict: str
) -> dict[str, str | int | float]:
    figure = comparison.figure
    return {
        "kind": kind,
        "claim": claim,
        "figure": figure.name,
        "arm": arm,
        "than": than,
        "scale": figure.scale,
        "better": figure.better,
        "matters": figure.matters,
        "pairs": len(comparison.seeds),
        "missing": comparison.missing,
        "mean_difference": comparison.mean,
        "low": comparison.interval.low,
        "high": comparison.interval.high,
        "level": comparison.level,
        "e_value": comparison.evidence,
        "verdict": verdict,
        "seeds_needed": "" if comparison.seeds_needed is None else comparison.seeds_needed,
    }
