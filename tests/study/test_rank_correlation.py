"""The rank correlation of a run's curves: known answers, laws, and what it makes of a claim."""

import csv
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from gans.errors import InputError
from gans.run.folder import RunFolder
from gans.run.metrics_file import write_rows
from gans.study.analyse import analyse
from gans.study.answers import answers
from gans.study.compare import compare
from gans.study.figures_of_merit import figure_of_merit
from gans.study.plan import require_metrics
from gans.study.publish import publish
from gans.study.rank_correlation import rank_correlation
from gans.study.statistics import Interval
from tests.configs import composed
from tests.study.test_known_truth import COMMANDS, definition, records_in

FID, RECALL = "val/fid_100_digits1", "val/recall_100_digits1"
TREND = "rank_correlation.training_step.fid"
ACCURACY = "rank_correlation.discriminator_accuracy.fid"


def run_of(folder: Path, fid: list[float], recall: list[float], accuracy: list[float]) -> RunFolder:
    """A validation every 10 steps, and two points of D's accuracy before each, of the given mean."""
    rows = []
    for moment, values in enumerate(zip(fid, recall, accuracy, strict=True), 1):
        for step, offset in ((10 * moment - 5, -0.25), (10 * moment, 0.25)):
            recorded = dict(zip((FID, RECALL), values, strict=False)) if offset > 0 else {FID: "", RECALL: ""}
            rows.append(
                {"step": step, "epoch": step / 10, "train/discriminator_accuracy": values[2] + offset, **recorded}
            )
    folder.mkdir(parents=True)
    run = RunFolder.create(folder, {"seed": 0})
    write_rows(run.metrics_file, list(rows[0]), rows)
    return RunFolder(folder)


values = st.lists(
    st.tuples(*[st.integers(0, 20).map(float)] * 3), min_size=3, max_size=12
).filter(lambda each: all(len(set(column)) > 1 for column in zip(*each, strict=True)))  # fmt: skip


@given(values)
def test_it_is_spearmans_of_the_means_between_validations(
    tmp_path_factory: pytest.TempPathFactory, moments: list[tuple[float, float, float]]
) -> None:
    fid, recall, accuracy = (list(column) for column in zip(*moments, strict=True))
    run = run_of(tmp_path_factory.mktemp("run") / "run", fid, recall, accuracy)
    for curve, other in (("discriminator_accuracy", accuracy), ("recall", recall), ("training_step", range(len(fid)))):
        found = rank_correlation(run, curve, "fid")
        assert found == pytest.approx(spearmanr(list(other), fid).statistic)
        assert -1 - 1e-12 <= found <= 1 + 1e-12


def test_a_monotone_curve_gives_one(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", [9.0, 5.0, 4.0, 1.0], [0.1, 0.2, 0.2, 0.9], [0.5, 0.6, 0.7, 0.9])
    assert rank_correlation(run, "training_step", "fid") == -1
    assert rank_correlation(run, "discriminator_accuracy", "fid") == -1


@pytest.mark.parametrize(
    ("fid", "curve"),
    [
        ([2.0, 1.0], "training_step"),
        ([2.0, 2.0, 2.0], "training_step"),
        ([2.0, math.nan, 1.0], "training_step"),
        ([3.0, 2.0, 1.0], "recall"),
        ([3.0, 2.0, 1.0], "of nothing"),
    ],
    ids=["two moments", "never changes", "two moments that are numbers", "the other never changes", "no such curve"],
)
def test_what_it_can_not_tell_is_nan(fid: list[float], curve: str, tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", fid, [0.5] * len(fid), [0.5] * len(fid))
    assert math.isnan(rank_correlation(run, curve, "fid"))


@pytest.mark.slow
@pytest.mark.usefixtures("without_figures")
def test_a_claim_compares_with_a_number(tmp_path: Path) -> None:
    parts = [{"figure": ACCURACY, "arm": "better", "than": 0, "expect": "higher"}]
    progress = [{"figure": "recall", "arm": "better", "than": 0.2, "expect": "higher"}]
    study = definition(
        figures=["fid", "recall", ACCURACY],
        claims=[{"text": "noise", "parts": parts}, {"text": "better than a fifth", "parts": progress}],
    )
    result = analyse(study, records_in(tmp_path / "runs", study))
    (noise, fifth), shown = result.claims, answers(result)
    assert [noise.judgement, fifth.judgement] == ["undecided", "holds"]
    found = noise.parts[0][1]
    assert found.differences == tuple(record.figures[ACCURACY] for record in result.of_arm("better"))
    assert found.interval.low < 0 < found.interval.high
    assert "better against 0: mean of 12 runs" in shown[0].details[0]
    page = publish(result, tmp_path / "study", COMMANDS).parent
    with (page / "comparisons.csv").open(encoding="utf-8") as file:
        assert [row["than"] for row in csv.DictReader(file) if row["kind"] == "claim"] == ["0.0", "0.2"]


def test_a_list_is_compared_with_a_number() -> None:
    found = compare([0.8, 0.9, 0.85], 0.5, "recall")
    assert found.differences == pytest.approx((0.3, 0.4, 0.35))
    assert found.differences == compare({0: 0.8, 1: 0.9, 2: 0.85}, 0.5, "recall").differences


def test_no_interval_leaves_its_scale() -> None:
    """Two correlations differ by 2 at most, and one is at most 1 away from 0."""
    wide = Interval(-3.0, 2.5)
    assert figure_of_merit(TREND).possible(wide) == Interval(-2, 2)
    assert figure_of_merit(TREND).possible(wide, 0.0) == Interval(-1, 1)
    assert figure_of_merit("recall").possible(wide, 0.2) == Interval(-0.2, 0.8)
    assert figure_of_merit("fid").possible(wide, 1.0) == wide


@pytest.mark.parametrize(
    "figure",
    [f"{TREND}@100", f"best.{TREND}", "best.rank_correlation.fid",
     *(f"rank_correlation.{rest}" for rest in ("", "fid", "a.b.fid", ".fid", "fid.")), "late_fluctuation.recall"],
)  # fmt: skip
def test_other_spellings_are_refused(figure: str) -> None:
    scale: dict[str, Any] = {"scale": "correlation", "better": "lower"}
    with pytest.raises(InputError, match=r"^figures: .*(rank_correlation|late fluctuation)"):
        definition(claims=[], figures=[{"name": figure, **scale}])


def test_curves_that_runs_will_lack_are_refused_before_training() -> None:
    config = composed("data=digits", "metric=[fid]")
    adaptive = "rank_correlation.augmentation_probability.fid"  # a curve of a stabilizer
    require_metrics(definition(claims=[], figures=[TREND, ACCURACY, adaptive]), "none", config)
    for name in ("rank_correlation.training_step.recall", "rank_correlation.recall.fid"):
        figure = {"name": name, "scale": "correlation", "better": "lower"}
        with pytest.raises(InputError, match="recall"):
            require_metrics(definition(claims=[], figures=[figure]), "none", config)
