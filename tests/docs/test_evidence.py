"""Every number in docs/evidence can be recomputed from the runs' figures."""

import csv
import io
import math
import re
import runpy
from pathlib import Path

import pytest

from gans.files import write_json
from gans.run.folder import RunFolder
from gans.study.analyse import analyse
from gans.study.record import read_record
from gans.study.write import as_csv, run_rows
from tests.configs import composed
from tests.study.synthetic import figures_of, write_run
from tests.study.test_known_truth import definition

ROOT = Path(__file__).parent.parent.parent
EVIDENCE = ROOT / "docs" / "evidence"
SCRIPT = runpy.run_path(str(ROOT / "docs" / "evidence.py"))
PAGES: dict[Path, str] = SCRIPT["pages"]()


def test_there_is_evidence() -> None:
    assert EVIDENCE / "README.md" in PAGES
    assert len(PAGES) > 1


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(EVIDENCE)))
def test_what_is_committed_is_what_the_runs_say(path: Path) -> None:
    """Numbers to nine digits: other versions of numpy and scipy may round the last ones differently."""
    committed, computed = path.read_text(encoding="utf-8"), PAGES[path]
    if path.suffix != ".csv":
        assert committed == computed, "run: python docs/evidence.py"
        return
    ours, theirs = (list(csv.DictReader(io.StringIO(text))) for text in (committed, computed))
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert one.keys() == other.keys()
        for name, value in one.items():
            try:
                assert float(value) == pytest.approx(float(other[name]), rel=1e-9, nan_ok=True)
            except ValueError:
                assert value == other[name]


def test_the_table_of_runs_says_what_a_study_compares(tmp_path: Path) -> None:
    """Of a run that failed, no time of training and test."""
    study = definition(claims=[], figures=["fid", "seconds"], arms={"none": [], "better": ["stabilize=ema"]})
    config = composed("data=digits")
    records = []
    for seed in range(3):
        for arm in study.all_arms:
            failed_at = 500 if (arm, seed) == ("better", 1) else None
            run = write_run(
                tmp_path / f"{arm}{seed}", config | {"seed": seed}, figures_of(arm, seed), failed_at=failed_at
            )
            events = run.history.events
            events[-1] |= {"time": "2100-01-01T00:00:00+00:00"}  # the end, or there would be no time between
            write_json(run.path / "history.json", events)
            records.append(read_record(RunFolder(run.path), arm, study.merits))
    result = analyse(study, records)
    table = list(csv.DictReader(io.StringIO(as_csv(run_rows(result)))))
    values = SCRIPT["values_of"](study, table)
    for arm in study.all_arms:
        for merit in study.merits:
            assert values[arm][merit.name] == pytest.approx(result.values(arm, merit.name), nan_ok=True)
    assert math.isnan(values["better"]["seconds"][1])
    assert SCRIPT["seconds_of"](table) > 0


@pytest.mark.parametrize(
    "folder", sorted(path.parent for path in EVIDENCE.glob("*/runs.csv")), ids=lambda path: path.name
)
def test_each_study_has_its_files(folder: Path) -> None:
    assert {"runs.csv", "comparisons.csv", "study.md", "index.html"} <= {path.name for path in folder.iterdir()}
    assert (folder / "index.html").stat().st_size <= 2_000_000
    assert not [path for path in folder.rglob("*") if path.suffix in (".ckpt", ".npz")]


def effects(text: str) -> set[tuple[str, ...]]:
    """Effects with their intervals: × 0.446 (0.307 to 0.646), and +55.1 points (97.5 %: +1.1 to +100.0)."""
    number = r"([+−]?[\d.]+)"
    pattern = rf"(?:× )?{number}(?: points(?: of 100)?)? \((?:[\d.]+ %: )?{number} to {number}\)"
    return set(re.findall(pattern, text))


def test_every_effect_in_the_readme_is_one_of_the_studies() -> None:
    found = effects((ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(found) > 5
    measured = effects(PAGES[EVIDENCE / "README.md"])
    assert found - measured == {("0.5", "0.3", "0.8")}  # which explains how effects are written
