"""A study whose truth is known: verdicts, counts, files and page say so."""

import csv
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gans.errors import InputError
from gans.files import write_arrays, write_json
from gans.run.folder import RunFolder
from gans.study.analyse import ENDED, StudyResult, analyse, compare_values
from gans.study.answers import answers
from gans.study.ask import seeds_that_decide
from gans.study.compare import compare
from gans.study.define import StudyDefinition
from gans.study.figures_of_merit import figure_of_merit, values_behind
from gans.study.known_figures import LATE_FLUCTUATION, RANK_CORRELATION
from gans.study.page import Commands
from gans.study.publish import link_tensorboard, publish
from gans.study.record import RunRecord, read_record
from gans.study.write import markdown
from tests.configs import composed
from tests.study.synthetic import COLLAPSE, figures_of, write_run

ARMS = ("none", "better", "equal", "worse", "collapsing")
SEEDS = range(12)
COLLAPSED, DIED = (1, 4, 6), 3
COMMANDS = Commands("again", "more", dict.fromkeys(ARMS, "train"))
LATE = f"{LATE_FLUCTUATION}discriminator_loss"


def definition(**changes: Any) -> StudyDefinition:
    claims = [
        {"text": "better is better", "parts": [{"figure": "fid", "arm": "better", "expect": "lower"}]},
        {"text": "worse is better", "parts": [{"figure": "fid", "arm": "worse", "expect": "lower"}]},
        {"text": "equal is equal", "parts": [{"figure": "fid", "arm": "equal", "expect": "no difference"}]},
        {"text": "better and worse are better", "parts": [
            {"figure": "fid", "arm": "better", "expect": "lower"}, {"figure": "recall", "arm": "better",
             "than": "worse", "expect": "higher"}]},
        {"text": "better is equal", "parts": [{"figure": "fid", "arm": "better", "expect": "no difference"}]},
    ]  # fmt: skip
    options: dict[str, Any] = {
        "question": "What helps <a GAN> of known truth?",
        "common": ["data=digits"],
        "arms": {arm: [f"stabilize={arm}"] for arm in ARMS},
        "baseline": "none",
        "figures": ["fid", "recall", "late_fluctuation.discriminator_loss"],
        "claims": claims,
    }
    return StudyDefinition.model_validate(options | changes)


def records_in(folder: Path, study: StudyDefinition, seeds: range = SEEDS) -> list[RunRecord]:
    config = composed("data=digits", "data.limit=100")
    records = []
    for arm in study.all_arms:
        for seed in seeds:
            collapsed = arm == "collapsing" and seed in COLLAPSED
            run = write_run(
                folder / f"{arm}-{seed}", config | {"seed": seed}, figures_of(arm, seed),
                labels=[COLLAPSE] if collapsed else [], failed_at=500 if arm == "worse" and seed == DIED else None,
            )  # fmt: skip
            records.append(read_record(run, arm, study.merits))
    return records


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> StudyResult:
    study = definition()
    return analyse(study, records_in(tmp_path_factory.mktemp("runs"), study))


def test_verdicts(result: StudyResult) -> None:
    found = {arm: figures["fid"].verdict for arm, figures in result.comparisons.items()}
    assert found["better"] == "better"
    assert found["worse"] == "worse"
    assert found["equal"] == "no difference that matters"
    assert result.discoveries >= {("better", "fid"), ("worse", "fid")}
    assert [judged.judgement for judged in result.claims] == ["holds", "fails", "holds", "holds", "undecided"]


def test_where_nothing_is_claimed_each_figure_has_an_answer_with_the_best_arm_first() -> None:
    study = definition()
    study = study.model_copy(update={"claims": [], "figures": study.figures[:2]})
    values = {
        arm: {merit.name: {seed: figures_of(arm, seed)[merit.name] for seed in SEEDS} for merit in study.merits}
        for arm in study.all_arms
    }
    found = {answer.text: answer for answer in answers(compare_values(study, values))}
    assert list(found) == [merit.title for merit in study.merits]
    fid = found["FID"]
    assert fid.verdict == "depends on the arm"
    arms = [detail.removeprefix("FID, ").partition(" against")[0] for detail in fid.details]
    assert (arms[0], arms[-1]) == ("better", "worse")

    many = {f"arm {number}": [f"a={number}"] for number in range(9)}
    wide = study.model_copy(update={"arms": many, "baseline": "arm 0"})
    same = {merit.name: {0: 1.0 if merit.scale == "ratio" else 0.5} for merit in study.merits}
    (answer, *_) = answers(compare_values(wide, dict.fromkeys(many, same)))
    assert (answer.verdict, len(answer.details)) == ("undecided", 1)
    assert all(arm in answer.details[0] for arm in list(many)[1:])


SPREAD = (-0.09, 0.05, 0.08, -0.04, -0.07, 0.09, 0.03, -0.05)
"""Differences of the log of FID, with a mean of 0."""


def judged(arms: dict[str, list[float]], claims: dict[str, dict[str, str]]) -> StudyResult:
    """A study of FID alone.

    Args:
        arms: the log of FID's ratio to the baseline's, by seed.
        claims: for each text what is expected of which arms.
    """
    study = definition(
        arms={"none": [], **{arm: [f"stabilize={arm}"] for arm in arms}},
        figures=["fid"],
        claims=[{"text": text, "parts": [{"figure": "fid", "arm": arm, "expect": expect} for arm, expect in of.items()]}
                for text, of in claims.items()],
    )  # fmt: skip
    seeds = len(next(iter(arms.values())))
    logs = {"none": [0.0] * seeds} | arms
    return compare_values(study, {arm: {"fid": dict(enumerate(map(math.exp, logs[arm])))} for arm in logs})


def test_a_difference_decides_that_there_is_none_where_it_lies_beyond_what_does_not_matter() -> None:
    """The seeds that are said to decide do, and one fewer do not."""
    claims = {"it is equal": {"larger": "no difference"}}
    shifted = [0.25 + each for each in SPREAD]
    first = judged({"larger": shifted}, claims)
    ((_, found, state),) = first.claims[0].parts
    assert (found.verdict, state) == ("worse", "undecided")
    assert found.seeds_needed is not None
    assert found.seeds_needed > len(SPREAD)
    (answer,) = answers(first)
    assert f"about {found.seeds_needed - len(SPREAD)} more" in answer.details[0]
    assert answer.details[0].endswith("higher")
    more = judged({"larger": shifted * (1 + found.seeds_needed // len(SPREAD))}, claims)
    assert more.claims[0].judgement == "fails"


def test_seeds_are_asked_for_claims_that_they_can_decide() -> None:
    """Not for one that has failed already, nor for one of which a part can't be decided."""
    arms = {
        "far": [1 + each for each in SPREAD],
        "open": [-0.1 + 5 * each for each in SPREAD],
        "near": [-0.1 + 3 * each for each in SPREAD],
        "fixed": [-1.0] * len(SPREAD),
    }
    claims = {
        "it fails": {"far": "lower", "open": "lower"},
        "it can't be told": {"fixed": "lower", "open": "lower"},
        "it is near": {"near": "higher"},
    }
    result = judged(arms, claims)
    assert [each.judgement for each in result.claims] == ["fails", "undecided", "undecided"]
    ((_, near, _),) = result.claims[2].parts
    assert all(found.seeds_needed for _, found, state in result.claims[0].parts if state == "undecided")
    assert seeds_that_decide(result) == near.seeds_needed
    assert seeds_that_decide(judged(arms, dict(list(claims.items())[:2]))) is None


def test_effects_are_those_of_the_truth(result: StudyResult) -> None:
    for arm, truth in (("better", 0.8), ("worse", 1.33), ("equal", 1.0)):
        comparison = result.comparisons[arm]["fid"]
        assert comparison.figure.shown(comparison.mean) == pytest.approx(truth, rel=0.1)
        assert comparison.interval.low < comparison.mean < comparison.interval.high


def test_failed_runs_are_counted_and_never_dropped_in_silence(result: StudyResult) -> None:
    troubles = {(arm, trouble.label): trouble for arm, found in result.troubles.items() for trouble in found}
    assert troubles["collapsing", COLLAPSE].count == len(COLLAPSED)
    assert troubles["collapsing", COLLAPSE].runs == len(SEEDS)
    assert troubles["collapsing", COLLAPSE].p_value == pytest.approx(0.25)
    assert troubles["none", COLLAPSE].count == 0
    assert troubles["worse", ENDED].first_steps == (500,)
    assert result.comparisons["worse"]["fid"].missing == 1
    assert len(result.comparisons["worse"]["fid"].seeds) == len(SEEDS) - 1


@pytest.mark.slow
def test_files_and_page_say_so(result: StudyResult, tmp_path: Path) -> None:
    page = publish(result, tmp_path / "study", COMMANDS).read_text(encoding="utf-8")
    assert "<h1>What helps &lt;a GAN&gt; of known truth?</h1>" in page
    assert page.count('class="verdict"') == len(result.claims)
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert len(page) < 5_000_000
    with (tmp_path / "study" / "runs.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(ARMS) * len(SEEDS)
    assert [row["state"] for row in rows].count("failed") == 1
    for row in rows:
        if row["state"] == "finished":
            assert float(row["fid"]) == figures_of(row["arm"], int(row["seed"]))["fid"]
    with (tmp_path / "study" / "comparisons.csv").open(encoding="utf-8") as file:
        comparisons = list(csv.DictReader(file))
    assert {row["verdict"] for row in comparisons if row["arm"] == "better" and row["figure"] == "fid"} >= {"better"}
    text = (tmp_path / "study" / "study.md").read_text(encoding="utf-8")
    assert all(answer.text in text for answer in answers(result))
    figures = {path.name for path in (tmp_path / "study" / "figures").iterdir()}
    assert {"effects_fid.svg", "effects_fid.pdf", "runs_recall.svg"} <= figures


@pytest.mark.slow
def test_the_same_study_gives_the_same_files(result: StudyResult, tmp_path: Path) -> None:
    for name in ("one", "other"):
        publish(result, tmp_path / name, COMMANDS)
    files = [{path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*")
              if path.is_file() and path.suffix != ".0"} for name in ("one", "other")]  # fmt: skip
    assert files[0] == files[1]


def than(figure: str, number: float) -> dict[str, Any]:
    """A claim that compares with a number."""
    part = {"figure": figure, "arm": "better", "than": number, "expect": "higher"}
    return {"figures": ["fid", "recall"], "claims": [{"text": "", "parts": [part]}]}


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"arms": {"none": ["a=1"], "same": ["a=1"]}}, "same"),
        ({"arms": {"none": ["a=1"]}}, "two arms"),
        ({"factors": {"a": {"x": [], "y": ["b=1"]}}}, "either"),
        ({"arms": {}, "factors": {"a": {"x": [], "x, y": []}, "b": {"y, z": [], "z": []}}}, "two combinations"),
        ({"baseline": "nothing"}, "nothing"),
        ({"figures": ["fid", "mine"]}, "mine"),
        ({"figures": ["fid", "fid"]}, "twice"),
        ({"figures": [{"name": "fid", "matters": 0.9}]}, "above 1"),
        ({"figures": [{"name": "recall", "matters": 5}]}, "0.05"),
        ({"figures": ["fid@best"]}, "training step"),
        ({"figures": ["best.fid@500"]}, "two moments"),
        ({"figures": ["best.seconds"]}, "whole run"),
        ({"figures": ["late_fluctuation.fid@500"]}, "whole run"),
        ({"common": ["seed=3"]}, "seed"),
        ({"claims": [{"text": "", "parts": [{"figure": "kid", "arm": "better", "expect": "lower"}]}]}, "kid"),
        ({"claims": [{"text": "", "parts": [{"figure": "fid", "arm": "best", "expect": "lower"}]}]}, "best"),
        ({"claims": [{"text": "", "parts": [{"figure": "fid", "arm": "none", "expect": "lower"}]}]}, "itself"),
        (than("fid", 0), "above 0"),
        (than("fid", -1), "above 0"),
        (than("recall", 1.5), "0 to 1"),
        ({"arms": {"none": [], "better": ["a=1"], "0.9": ["a=2"]}, **than("recall", 0.9)}, "than: '0.9'"),
    ],
)
def test_wrong_definitions_are_refused(changes: dict[str, Any], word: str) -> None:
    with pytest.raises(InputError, match=word):
        definition(**changes)


@pytest.mark.parametrize(
    "wrong",
    [{"level": level} for level in (0, -1, 1, 2, math.nan, None, "0.05")]
    + [{arm: values} for arm in ("arm", "baseline") for values in ([1.0, None], ["1", "2"], [[1.0], [2.0]], "12")]
    + [
        {"arm": 5},
        {"baseline": math.nan},
        {"baseline": -5},
        {"figure": 5},
        {"scale": "log"},
        {"better": "up"},
        {"matters": "2"},
        {"figure": figure_of_merit("fid"), "better": "higher"},
    ],
    ids=str,
)
def test_arguments_of_a_comparison_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    options: dict[str, Any] = {"arm": [1.0, 2.0], "baseline": numpy.array([3.0, 5.0]), "level": numpy.float32(0.05)}
    assert compare(**options).seeds == (0, 1)
    with pytest.raises(InputError) as error:
        compare(**options | wrong)
    assert "\n" not in str(error.value)


def test_a_title_says_which_moment_it_is_of() -> None:
    """Of any other figure of merit, it is what the figure is called."""
    titles = [figure_of_merit(name).title for name in ("fid", "best.fid", "fid@3500")]
    assert titles == ["FID", "FID of the best checkpoint", "FID at step 3,500"]


def test_links_to_the_runs_lead_there_from_a_folder_that_is_a_link(tmp_path: Path) -> None:
    study = definition(claims=[], figures=["fid"])
    result = analyse(study, records_in(tmp_path / "runs", study, range(1)))
    (tmp_path / "deep" / "folder").mkdir(parents=True)
    (tmp_path / "short").symlink_to(tmp_path / "deep" / "folder")
    for record in result.records:
        record.run.tensorboard.mkdir()
    link_tensorboard(result, tmp_path / "short")
    links = {link.resolve() for link in (tmp_path / "short").glob("*/seed0")}
    assert links == {record.run.tensorboard.resolve() for record in result.records}


PIECES = ("best.", RANK_CORRELATION, LATE_FLUCTUATION, "training_step", "fid", "seconds", ".", "@", "500")


@pytest.fixture(scope="module")
def one_run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return write_run(tmp_path_factory.mktemp("one") / "run", composed("data=digits"), figures_of("none", 0))


@given(pieces=st.lists(st.sampled_from(PIECES), max_size=6))
def test_a_name_is_of_a_figure_or_refused_in_a_line(one_run: RunFolder, pieces: list[str]) -> None:
    name = "".join(pieces)
    options = {"name": name, "scale": "difference", "better": "lower", "matters": 0.1}
    merits, refused = [], name
    try:
        merits = definition(claims=[], figures=[options]).merits
    except InputError as error:
        refused = str(error)
    assert name in refused
    assert "\n" not in refused
    for merit in merits:
        assert merit.title
        assert all(values_behind(name)) or name == "seconds"
        assert isinstance(read_record(one_run, "none", [merit]).figures[name], float)


def test_what_matters_belongs_to_a_scale() -> None:
    assert figure_of_merit("modes").matters == 0.5
    assert figure_of_merit("modes", scale="ratio").matters == figure_of_merit("fid").matters
    assert figure_of_merit("modes", matters=2).matters == 2


def test_runs_without_a_seed_in_common_are_no_pairs() -> None:
    found = compare({0: 1.0, 1: 2.0}, {2: 1.0, 3: 2.0})
    assert (found.seeds, found.verdict) == ((), "undecided")
    with pytest.raises(InputError, match="by seed"):
        compare({0: 1.0}, [1.0])


def test_wrong_runs_are_refused(tmp_path: Path) -> None:
    study = definition(claims=[])
    records = records_in(tmp_path, study, range(2))
    with pytest.raises(InputError, match="twice"):
        analyse(study, [*records, records[0]])
    other = write_run(tmp_path / "other", RunFolder(tmp_path / "none-0").config | {"seed": 5}, {"fid": 3.0},
                      protocol="500_digits1")  # fmt: skip
    with pytest.raises(InputError, match="different ways"):
        analyse(study, [*records, read_record(other, "none", study.merits)])
    unknown = definition(claims=[], figures=["coverage"])
    with pytest.raises(InputError, match=r"coverage.*fid"):
        analyse(unknown, [read_record(record.run, record.arm, unknown.merits) for record in records])


def test_a_value_off_its_scale_costs_its_pair_alone(tmp_path: Path) -> None:
    study = definition(claims=[], figures=["fid"])
    records = records_in(tmp_path, study, range(3))
    config = RunFolder(tmp_path / "better-0").config
    perfect = read_record(write_run(tmp_path / "perfect", config | {"seed": 2}, {"fid": 0.0}), "better", study.merits)
    others = [record for record in records if (record.arm, record.seed) != ("better", 2)]
    result = analyse(study, [*others, perfect])
    found = result.comparisons["better"]["fid"]
    assert (found.seeds, found.missing) == ((0, 1), 1)
    assert "perfect" in " ".join(result.warnings)
    assert "missing in 1 of the pairs" in markdown(result, [])
    with pytest.raises(InputError, match=r"perfect.*scale"):
        analyse(study, [perfect])


def test_a_failed_run_has_no_figures_of_its_end(tmp_path: Path) -> None:
    """Neither those of the steps that it made, nor of a test of an earlier checkpoint."""
    study = definition(claims=[], figures=["fid", "best.fid", "fid@500", "seconds", LATE])
    config = composed("data=digits")
    died = write_run(tmp_path / "died", config, figures_of("none", 0), failed_at=700)
    whole = write_run(tmp_path / "whole", config, figures_of("none", 0))
    shutil.copy(whole.test_results_file, died.test_results_file)
    found = read_record(died, "none", study.merits).figures
    assert {name for name, value in found.items() if math.isfinite(value)} == {"fid@500"}
    found = read_record(whole, "none", study.merits).figures
    finite = {name for name, value in found.items() if math.isfinite(value)}
    assert finite - {"seconds"} == {"fid", "fid@500", LATE}  # a second may begin between its start and its end


@pytest.mark.parametrize(
    ("minutes", "seconds"), [([0, 2, 10, 11], 180), ([5, 2, 10, 11], 60), ([0, 0, 5, 1], math.nan)]
)
def test_the_time_of_a_run_is_that_of_its_sessions(tmp_path: Path, minutes: list[int], seconds: float) -> None:
    """A clock that was set back adds nothing, and no time at all is no measurement."""
    run = write_run(tmp_path / "run", composed("data=digits"), figures_of("none", 0))
    names = ("started", "stopped", "resumed", "finished")
    write_json(run.path / "history.json", [
        {"event": name, "time": f"2026-01-01T00:{minute:02d}:00+00:00"}
        for name, minute in zip(names, minutes, strict=True)
    ])  # fmt: skip
    record = read_record(run, "none", definition(claims=[], figures=["seconds"]).merits)
    assert record.figures["seconds"] == pytest.approx(seconds, nan_ok=True)


@pytest.mark.slow
@pytest.mark.usefixtures("without_figures")
def test_points_that_are_not_finite_leave_a_page(tmp_path: Path) -> None:
    study = definition(claims=[], figures=["fid"])
    records = records_in(tmp_path / "runs", study, range(3))
    for number, record in enumerate(records):
        for grid in record.run.grids:
            points = numpy.full((10, 2), (1.0, numpy.inf, numpy.nan)[number % 3], numpy.float32)
            points[0] = number % 2
            write_arrays(
                record.run.grid_file(grid.step), images=points, labels=numpy.zeros(10), step=grid.step, epoch=grid.epoch
            )
    records = [read_record(RunFolder(record.run.path), record.arm, study.merits) for record in records]
    assert publish(analyse(study, records), tmp_path / "study", COMMANDS).is_file()


def test_what_no_pair_could_be_judged_for_has_no_p_value(tmp_path: Path) -> None:
    study = definition(claims=[], figures=["fid"])
    records = [replace(record, not_judged=("divergence",)) for record in records_in(tmp_path, study, range(2))]
    (trouble,) = [each for each in analyse(study, records).troubles["better"] if each.label == "divergence"]
    assert (trouble.count, trouble.not_judged) == (0, 2)
    assert math.isnan(trouble.p_value)


def test_factors_make_the_product_of_their_levels() -> None:
    factors = {
        "game": {"bce": ["objective=bce"], "pairs": ["objective=relativistic"]},
        "penalty": {"none": [], "r1": ["stabilize=r1"]},
    }
    study = definition(arms={}, factors=factors, baseline="bce, none", claims=[])
    assert study.all_arms == {
        "bce, none": ["objective=bce"],
        "bce, r1": ["objective=bce", "stabilize=r1"],
        "pairs, none": ["objective=relativistic"],
        "pairs, r1": ["objective=relativistic", "stabilize=r1"],
    }
