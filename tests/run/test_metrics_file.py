"""metrics.csv: rows that are added, columns that appear later, and what comes after a checkpoint."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gans.run.callbacks.metrics_logger import MetricsLogger
from gans.run.folder import RunFolder
from gans.run.metrics_file import read_rows
from gans.run.rewind import FilePositions, truncate_after
from tests.run.runs import start


def test_columns_may_appear_later_and_rows_after_a_checkpoint_are_dropped(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, {})
    first = MetricsLogger(run.metrics_file, rows_in_memory=1)
    first.log_metrics({"a": 1.0}, step=1)
    first.log_metrics({"a": 2.0, "b": 5.0}, step=2)
    first.log_metrics({"b": 6.0}, step=3)
    truncate_after(run, FilePositions(rows=2, events={}))
    resumed = MetricsLogger(run.metrics_file, rows_in_memory=1)
    resumed.log_metrics({"a": 3.0, "c": 7.0}, step=3)
    resumed.save()
    columns, rows = read_rows(run.metrics_file)
    assert columns == ["step", "a", "b", "c"]
    assert [tuple(row.values()) for row in rows] == [
        ("1", "1.0", "", ""),
        ("2", "2.0", "5.0", ""),
        ("3", "3.0", "", "7.0"),
    ]


@given(st.data())
def test_a_row_that_was_cut_off_is_dropped(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("rows") / "metrics.csv"
    logger = MetricsLogger(path, rows_in_memory=1)
    for step in range(1, 4):
        logger.log_metrics({"a": step / 8, "b": step / 4}, step=step)
    whole = path.read_text()
    left = whole[: data.draw(st.integers(len("step,a,b\n"), len(whole)))]
    path.write_text(left)
    _, rows = read_rows(path)
    expected = [{"step": str(step), "a": str(step / 8), "b": str(step / 4)} for step in range(1, 4)]
    assert rows == expected[: left.count("\n") - 1]


@pytest.mark.slow
def test_an_epochs_mean_is_over_all_updates_however_often_points_are_recorded(tmp_path: Path) -> None:
    """The generator learns in every third of ten steps, so that windows of equal length hold one update or two."""
    options = (
        "data.limit=80",
        "trainer.max_epochs=1",
        "stabilize=discriminator_steps",
        "stabilize.discriminator_steps.steps=3",
    )
    means = [
        start(tmp_path / str(every), *options, f"log_every={every}").curve("epoch/generator_loss")[1]
        for every in (1, 7)
    ]
    assert len(means[0]) == 1
    assert means[1] == pytest.approx(means[0], rel=1e-6)
