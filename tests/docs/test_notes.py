"""What the notes of studies and README's findings say was measured is computed here from the committed CSV files.

A number of two or more digits that is neither computed here nor a setting fails. Smaller ones and words are not
looked for.
"""

import csv
import math
import re
import statistics
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from scipy.stats import spearmanr

from gans.study.statistics import e_value

ROOT = Path(__file__).parent.parent.parent
EVIDENCE = ROOT / "docs" / "evidence"
NUMBERS = ["none", "one", "two", "three", "four", "five", "six", "seven", "all eight", "nine"]
SETTINGS = "|".join(
    [
        r"`[^`]*`",
        r"\]\([^)]*\)",  # links
        r"\w+ et al\. \d{4}",
        r"beta1 of 0\.9|beta1 to 0\.5|, 0\.5 helps|(target to|keep their|use|target of) 0\.9|have 0\.5 already",
        r"grid of 25",
        r"\d[\d,]* (images|steps|epochs|Gaussians)|(step|after|in|at) \d,?\d{3}\b",
        r"after 16 runs",
        r"beta1 at 0\.5 and 444 steps|keeps all 32 samples",
        r"−0\.272 and 0\.682",  # the report's
        r"× 0\.5 \(0\.3 to 0\.8\).*?0\.8 times",  # how to read an effect
    ]
)
"""What a study was told to do, or what a report or a paper says: not measured here."""


def runs(study: str, name: str = "runs") -> list[dict[str, str]]:
    with (EVIDENCE / study / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def by_seed(study: str, arm: str, figure: str, name: str = "runs") -> dict[str, float]:
    return {run["seed"]: float(run[figure]) for run in runs(study, name) if run["arm"] == arm}


def lower_pairs(study: str, arm: str, than: str, figure: str, name: str = "runs") -> int:
    """In how many pairs of one seed the arm has the lower value; ``than`` may have more seeds."""
    ours, theirs = (by_seed(study, each, figure, name) for each in (arm, than))
    assert ours.keys() == dict(list(theirs.items())[: len(ours)]).keys()
    assert len(ours) >= 8
    return sum(ours[seed] < theirs[seed] for seed in ours)


def lower(study: str, arm: str, than: str, figure: str, name: str = "runs") -> str:
    return NUMBERS[lower_pairs(study, arm, than, figure, name)]


def ratio(study: str, arm: str, than: str, figure: str, name: str = "runs") -> str:
    """The geometric mean of the pairs' ratios."""
    ours, theirs = (by_seed(study, each, figure, name) for each in (arm, than))
    return f"× {math.exp(statistics.mean(math.log(ours[seed] / theirs[seed]) for seed in ours)):.3g}"


def stuck_step(run: dict[str, str]) -> int | None:
    """The step from which the discriminator is saturated, if it is."""
    found = re.search(r"discriminator saturation from step (\d+)", run["diagnoses"])
    return int(found[1]) if found else None


def number(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")


def extremes(values: list[float], digits: str = ".3g") -> str:
    return f"{min(values):{digits}} to {max(values):{digits}}".replace("-", "−")


def shown(counts: list[int]) -> str:
    """1010, 650 -> 1,010 and 650."""
    *first, last = (f"{each:,}" for each in counts)
    return f"{', '.join(first)} and {last}"


def label_smoothing() -> list[str]:
    loss, elsewhere = "late_fluctuation.discriminator_loss", "runs_elsewhere"
    calmer = [lower("label_smoothing", arm, "none", loss) for arm in ("noisy labels", "both", "label smoothing")]
    assert calmer[0] == calmer[1]
    there = [lower("label_smoothing", arm, "none", loss, elsewhere) for arm in ("noisy labels", "both")]
    mean = ratio("label_smoothing", "noisy labels", "none", loss, elsewhere)
    return [
        f"in {calmer[0]} pairs, alone and together with smoothed labels; smoothed labels alone in {calmer[2]}.",
        f"noisy labels alone calmed the loss in {there[0]} pairs, too ({mean} on average), and both together in "
        f"{there[1]}.",
    ]


def acgan_digits() -> list[str]:
    rows, losses = (
        runs("acgan_digits"),
        [f"late_fluctuation.{player}_loss" for player in ("discriminator", "generator")],
    )
    flipped, smoothed = ("noisy labels", "both"), ("label smoothing", "fixed label smoothing")
    calmer = {(arm, loss): lower("acgan_digits", arm, "none", loss) for arm in (*flipped, *smoothed) for loss in losses}
    assert {calmer[arm, losses[1]] for arm in flipped} == {"all eight"}
    assert {calmer[arm, losses[0]] for arm in (*flipped, smoothed[1])} == {"seven"}
    assert {calmer[smoothed[0], loss] for loss in losses} == {"four"}
    g_loss = [ratio("acgan_digits", arm, "none", losses[1]) for arm in flipped]
    fid = sorted(ratio("acgan_digits", arm, "none", "fid") for arm in (*flipped, *smoothed))
    fewer = [lower_pairs("acgan_digits", arm, "none", "fid") for arm in (*flipped, *smoothed)]
    random = [ratio("acgan_digits", smoothed[0], "none", loss) for loss in losses]
    saturated = Counter(run["arm"] for run in rows if "saturation" in run["diagnoses"])
    assert saturated["none"] == saturated["label smoothing"] == 8
    shares = [100 * float(run["class_agreement"]) for run in rows]
    return [
        f"alone ({g_loss[0]}) and together with smoothed ones ({g_loss[1]})",
        f"FID is {fid[0]} to {fid[-1]} on average, and lower in {NUMBERS[min(fewer)]} to {NUMBERS[max(fewer)]} of",
        f"the losses fluctuate {random[0]} and {random[1]} as much",
        f"All {saturated['none'] + saturated['label smoothing']} runs",
        f"with a fixed target {NUMBERS[saturated['fixed label smoothing']]} of eight, with flipped labels "
        f"{NUMBERS[saturated['noisy labels']]}, with both techniques {NUMBERS[saturated['both']]}.",
        f"of the images {extremes(shares, '.1f')} % show",
    ]


def report_a_digits() -> list[str]:
    d_loss, g_loss = "late_fluctuation.discriminator_loss", "late_fluctuation.generator_loss"
    oscillating = {
        arm: sum("oscillation" in run["diagnoses"] for run in runs("report_a_digits") if run["arm"] == arm)
        for arm in ("only 1", "all ten")
    }
    eight, three, one = (lower("report_a_digits", arm, "all ten", g_loss) for arm in ("only 8", "only 3", "only 1"))
    assert three == one
    return [
        f"{ratio('report_a_digits', 'only 1', 'all ten', d_loss)} as much",
        f"{NUMBERS[oscillating['only 1']]} of eight runs oscillate, {NUMBERS[oscillating['all ten']]} with ten digits",
        f"on an 8 alone the generator's loss is calmer in {eight} of eight pairs, on a 3 or a 1 in {three}.",
    ]


def report_a_rates() -> list[str]:
    rows = runs("report_a_rates")
    best: dict[tuple[str, str], list[str]] = {}
    for digit in ("an 8", "a 1"):
        for seed in map(str, range(8)):
            of_seed = {run["arm"]: float(run["fid"]) for run in rows if run["seed"] == seed and digit in run["arm"]}
            assert len(of_seed) == 3
            found = min(of_seed, key=lambda arm: of_seed[arm])
            best.setdefault((digit, found.rpartition(" ")[2]), []).append(seed)
    high = [run for run in rows if run["arm"].endswith("4e-4")]
    low = [run for run in rows if run not in high]
    saturated = [NUMBERS[sum("saturation" in run["diagnoses"] for run in group)] for group in (high, low)]
    *_, second, worst = sorted(float(run["fid"]) for run in rows if run["arm"].startswith("a 1"))
    (of_worst,) = (run for run in rows if float(run["fid"]) == worst)
    assert (of_worst["arm"], of_worst["seed"] in best["a 1", "4e-4"]) == ("a 1, lr 4e-4", False)
    assert {run["recall"] for run in rows} == {"0.0"}
    assert sorted(len(best["an 8", rate]) for rate in ("1e-4", "2e-4", "4e-4")) == [2, 3, 3]
    oscillating = {
        rate: sum("oscillation" in run["diagnoses"] for run in rows if run["arm"] == f"a 1, lr {rate}")
        for rate in ("1e-4", "2e-4", "4e-4")
    }
    assert oscillating["1e-4"] == oscillating["2e-4"] == 8
    here, there = by_seed("report_a_rates", "an 8, lr 2e-4", "fid"), by_seed("report_a_steps", "5001 steps", "fid")
    again = sorted(here[seed] / there[seed] for seed in here)
    return [
        f"in {NUMBERS[len(best['a 1', '4e-4'])]} of eight seeds, and",
        f"highest of all {len(rows) // 2} runs of a 1 ({worst:.0f}; the next is {second:.0f})",
        f"saturated in {saturated[0]} of {len(high)} runs, with the lower ones in {saturated[1]} of {len(low)};",
        f"on a 1 {NUMBERS[oscillating['4e-4']]} of eight runs oscillate with it",
        f"Recall is 0 in all {len(rows)} runs.",
        f"FID here is × {again[0]:.3g} to × {again[-1]:.3g} of it.",
    ]


def report_a_steps() -> list[str]:
    rows = runs("report_a_steps")
    assert {run["recall"] for run in rows} == {"0.0"}
    assert min(float(run["precision"]) for run in rows) < 0.01
    assert max(float(run["precision"]) for run in rows) > 0.99
    falls, later = (lower_pairs("report_a_steps", "5001 steps", than, "fid") for than in ("2500 steps", "3500 steps"))
    return [
        f"In all {len(rows)} runs (eight seeds, at four lengths of training) recall is 0:",
        "Precision jumps between 0 and 1",
        f"FID falls in {NUMBERS[falls]} seeds and rises in {NUMBERS[8 - falls]}",
        f"it rises in {NUMBERS[8 - later]} of eight.",
    ]


def accuracies_of_dcgans() -> list[list[float]]:
    """The discriminator's mean accuracy in each epoch, of each run of report_b_dcgan."""
    of_run: dict[tuple[str, str], list[float]] = {}
    for row in sorted(runs("report_b_dcgan", "accuracies"), key=lambda row: int(row["epoch"])):
        of_run.setdefault((row["arm"], row["seed"]), []).append(float(row["discriminator_accuracy"]))
    return [of_run[run["arm"], run["seed"]] for run in runs("report_b_dcgan")]


def rank_correlations_at_the_end() -> str:
    """Of the accuracy in the last epoch and FID, over the runs of each arm."""
    of_arm: dict[str, list[tuple[float, float]]] = {}
    for run, curve in zip(runs("report_b_dcgan"), accuracies_of_dcgans(), strict=True):
        of_arm.setdefault(run["arm"], []).append((curve[-1], float(run["fid"])))
    return extremes([float(spearmanr(*zip(*pairs, strict=True)).statistic) for pairs in of_arm.values()], ".2f")


def few_images() -> list[str]:
    rows, loss = runs("few_images"), "late_fluctuation.discriminator_loss"

    def labelled(arm: str, label: str) -> str:
        """How many of the arm's runs have a label."""
        return NUMBERS[sum(label in run["diagnoses"] for run in rows if run["arm"] == arm)]

    poor, collapsed = ([labelled(arm, label) for arm in ("DiffAugment", "none")] for label in ("poor", "collapse"))
    better = [lower("few_images", arm, "none", "fid") for arm in ("LeCam", "R1")]
    assert [sum(run["arm"] == arm for run in rows) for arm in ("none", "DiffAugment", "LeCam", "R1")] == [10, 10, 10, 8]
    assert {labelled(arm, "poor") for arm in ("LeCam", "R1")} == {"none"}
    ours, theirs = (by_seed("few_images", arm, "fid") for arm in ("LeCam", "none"))
    logarithms = [math.log(ours[seed] / theirs[seed]) for seed in sorted(ours, key=int)]
    first, last = logarithms[:8], logarithms[8:]
    calmer = [ratio("few_images", arm, "none", loss) for arm in ("LeCam", "bCR", "R1", "DigGAN")]
    return [
        f"poor samples in {poor[0]} of ten runs and collapses in {collapsed[0]}, the plain GAN in {poor[1]} and "
        f"{collapsed[1]}.",
        f"LeCam lowers FID in {better[0]} of ten pairs and R1 in {better[1]} of eight,",
        f"with an e-value of {e_value(first):.3g} where 80 are needed,",
        f"eight ratios lie between × {math.exp(min(first)):.3g} and × {math.exp(max(first)):.3g}, the new ones are "
        f"× {math.exp(last[0]):.3g} and × {math.exp(last[1]):.3g}.",
        f"{ratio('few_images', 'LeCam', 'none', 'fid')} after × {math.exp(statistics.mean(first)):.3g}, but",
        f"the e-value is only {e_value(logarithms):.3g}.",
        f"to {calmer[0]} to {calmer[-1]} of",
        f"{labelled('bCR', 'poor')} of bCR's eight runs",
    ]


def report_b_dcgan() -> list[str]:
    rows = runs("report_b_dcgan")
    steps, accuracies, fids = (
        [float(run[figure]) for run in rows]
        for figure in ("rank_correlation.training_step.fid", "rank_correlation.discriminator_accuracy.fid", "fid")
    )
    curves = accuracies_of_dcgans()
    assert len(rows) == len(curves) == 40
    first, last = [curve[0] for curve in curves], [curve[-1] for curve in curves]
    falls = [float(spearmanr(range(len(curve)), curve).statistic) for curve in curves]
    assert all(curve[1] > curve[0] for curve in curves)
    second = statistics.mean(curve[1] for curve in curves)
    loss = "late_fluctuation.discriminator_loss"
    arms = ("fixed label smoothing", "both", "noisy labels", "label smoothing")
    *calm, smoothing = (lower("report_b_dcgan", arm, "none", loss) for arm in arms)
    assert calm == ["all eight"] * 3
    both, none = ([*by_seed("report_b_dcgan", arm, "fid").values()] for arm in ("both", "none"))
    return [
        f"In all {len(rows)} runs FID falls as training goes on: the rank correlation of step and FID is "
        f"{extremes(steps, '.2f')}.",
        f"the rank correlation of its accuracy and FID is {extremes(accuracies, '.2f')} in all {len(rows)} runs:",
        f"epoch is {number(statistics.mean(first))} in the first one, rises in all {len(rows)} runs to the second, "
        f"{number(second)}, and falls to {number(statistics.mean(last))} in the last; its rank correlation with the "
        f"epoch is {extremes(falls, '.2f')}.",
        f"over the eight runs of an arm is {rank_correlations_at_the_end()} (",
        f"near 50 % means success; here it is {extremes(last, '.2f')} at the end",
        f"with the report's label smoothing in {smoothing}.",
        f"FID at the end is {extremes(fids)}, whatever",
        f"with both techniques ({extremes(both, '.1f')}) than with none ({extremes(none, '.1f')})",
    ]


def report_b_wgan() -> list[str]:
    rows = runs("report_b_wgan")
    steps = {(run["arm"], run["seed"]): step for run in rows if (step := stuck_step(run))}
    fids = [float(run["fid"]) for run in rows if stuck_step(run)]
    (alive,) = (run for run in rows if not stuck_step(run))
    losses = runs("report_b_wgan", "losses")
    critic, generator = ([float(row[f"{player}_loss"]) for row in losses] for player in ("discriminator", "generator"))
    arms = ("none", "label smoothing", "noisy labels", "both")
    spread = [max(values) / min(values) for arm in arms if (values := by_seed("report_b_wgan", arm, "fid").values())]
    earlier = {arm: sum(steps[arm, str(seed)] < steps["none", str(seed)] for seed in range(8)) for arm in arms[2:]}
    full = runs("report_b_wgan", "runs_all_of_mnist")
    stuck = [step for run in full if (step := stuck_step(run))]
    assert len(stuck) == len(full) == 4
    assert (losses[0]["arm"], losses[0]["seed"]) == (alive["arm"], alive["seed"])
    first, last = (f"{each(steps.values()):,}" for each in (min, max))
    return [
        f"In {len(fids)} of the {len(rows)} runs the critic gets stuck, with and without the techniques, for the first "
        f"time after {first} to {last} of 3,744 steps",
        f"Of these {len(fids)} runs FID is {extremes(fids)} at the end",
        f"FID is {number(float(alive['fid']))}; over an epoch, the critic's mean loss is {extremes(critic, '.2f')}, "
        f"and the generator's {extremes(generator, '.2f')}",
        f"the largest FID of an arm is {extremes(spread, '.2g')} times its smallest",
        f"in {NUMBERS[earlier['noisy labels']]} of eight pairs of the same seed, and with both techniques in "
        f"{NUMBERS[earlier['both']]}.",
        f"got stuck in all of four runs, for the first time after {shown(stuck)} steps, with FID "
        + ", ".join(f"{float(run['fid']):.1f}" for run in full[:-1])
        + f" and {float(full[-1]['fid']):.1f}",
    ]


def stabilizers_digits() -> list[str]:
    rows, loss = runs("stabilizers_digits"), "late_fluctuation.discriminator_loss"
    arms = dict.fromkeys(run["arm"] for run in rows if run["arm"] != "none")

    def means(figure: str) -> dict[str, float]:
        return {arm: float(ratio("stabilizers_digits", arm, "none", figure).removeprefix("× ")) for arm in arms}

    fid, calm = means("fid"), means(loss)
    none = by_seed("stabilizers_digits", "none", "fid")
    of_arm = {arm: by_seed("stabilizers_digits", arm, "fid") for arm in arms}
    higher = {arm for arm, values in of_arm.items() if all(values[seed] > none[seed] for seed in values)}
    calmest = sorted(calm, key=lambda arm: calm[arm])[:5]
    assert calmest == ["bCR", "R1", "weight clipping", "R2", "DigGAN"]
    assert all(fid[arm] > 1 for arm in calmest)
    assert higher == {"bCR", "weight clipping", "unrolling", "discriminator steps", "EMA"}
    assert all(of_arm["top-k"][seed] == none[seed] for seed in of_arm["top-k"])
    assert sum("poor samples" not in run["diagnoses"] for run in rows) == 1
    assert {len(values) for values in of_arm.values()} == {8}
    least = min(fid, key=lambda arm: fid[arm])
    lower_in = sum(of_arm[least][seed] < none[seed] for seed in none)
    return [
        f"× {fid[least]:.3g} ({least}), lower in {lower_in} of {len(none)} pairs",
        f"to × {calm['bCR']:.3g} to × {calm['DigGAN']:.3g} of",
        f"FID is × {fid['EMA']:.3g}, and with a decay of 0.98, an average over 50 steps, × {fid['EMA of 0.98']:.3g}.",
        f"in every epoch FID is × {fid['top-k every epoch']:.3g}.",
        f"ADA is × {fid['ADA']:.3g} as usual, and × {fid['ADA in 5,000 images']:.3g} if",
        f"× {fid['learning rate decay']:.3g} as usual, × {fid['decay to the end']:.3g} if it ends",
        f"All but one of the {len(rows)} runs",
    ]


def ring() -> list[str]:
    with (EVIDENCE / "ring" / "comparisons.csv").open(encoding="utf-8", newline="") as file:
        evidence = {(row["arm"], row["figure"]): float(row["e_value"]) for row in csv.DictReader(file)}
    return [f"(an e-value of {evidence['EMA', 'high_quality']:.0f}, too little"]


def readme() -> list[str]:
    rows = runs("report_b_wgan")
    fids = [float(run["fid"]) for run in rows if stuck_step(run)]
    (alive,) = (float(run["fid"]) for run in rows if not stuck_step(run))
    one_shape = runs("report_a_steps")
    assert {run["recall"] for run in one_shape} == {"0.0"}
    poor = [run for run in runs("first_steps") if "poor samples" in run["diagnoses"]]
    loss = "late_fluctuation.discriminator_loss"
    arms = ("noisy labels", "fixed label smoothing")
    calmed = [fid for arm in arms for fid in by_seed("report_b_dcgan", arm, "fid").values()]
    without = [*by_seed("report_b_dcgan", "none", "fid").values()]
    assert {lower("report_b_dcgan", arm, "none", loss) for arm in arms} == {"all eight"}
    asked = {*yaml.safe_load((ROOT / "conf" / "study" / "stabilizers.yaml").read_text(encoding="utf-8"))["arms"]}
    measured = {run["arm"] for path in EVIDENCE.glob("*/runs.csv") for run in runs(path.parent.name)}
    assert asked <= measured
    elsewhere = ratio("label_smoothing", "both", "none", loss, "runs_elsewhere")
    return [
        f"in {len(fids)} of {len(rows)} runs",
        f"FID ends between {number(min(fids))} and {number(max(fids))}; it is {number(alive)} in the one other run",
        f"over runs of the same settings, at the end, it is {rank_correlations_at_the_end()}, undecided",
        f"(another machine's runs: {elsewhere}, undecided)",
        f"FID is {extremes(calmed, '.1f')} with one of them and {extremes(without, '.1f')} without",
        f"all {len(poor)} runs still make poor samples",
        f"in all of {len({run['seed'] for run in one_shape})} seeds at each of "
        f"{len({run['arm'] for run in one_shape})} lengths",
    ]


FACTS: dict[str, Callable[[], list[str]]] = {
    each.__name__: each
    for each in (
        acgan_digits,
        few_images,
        label_smoothing,
        report_a_digits,
        report_a_rates,
        report_a_steps,
        report_b_dcgan,
        report_b_wgan,
        ring,
        stabilizers_digits,
    )
}


def text_of(name: str) -> str:
    """The text in one line."""
    if name == "README":
        text = (ROOT / "README.md").read_text(encoding="utf-8")
        text = text[text.index("## What was found") : text.index("## Using it")]
    else:
        text = (EVIDENCE / name / "notes.md").read_text(encoding="utf-8")
    return " ".join(text.split())


def test_all_notes_are_checked() -> None:
    assert {path.parent.name for path in EVIDENCE.glob("*/notes.md")} == FACTS.keys()


@pytest.mark.parametrize("name", [*FACTS, "README"])
def test_numbers_are_those_of_the_runs(name: str) -> None:
    text = text_of(name)
    for fact in readme() if name == "README" else FACTS[name]():
        assert fact in text
        text = text.replace(fact, " ")
    text = re.sub(SETTINGS, " ", text)
    if name == "README":  # test_evidence.py compares effects with their intervals
        text = re.sub(r"[+−]?[\d.]+( points of 100)? \([+−]?[\d.]+ to [+−]?[\d.]+\)|about \d+( more seeds)?", " ", text)
    left = re.findall(r"\d[\d.,]*\d", text)
    assert not left, f"numbers of two or more digits that no run is known for: {left}"
