"""The table of a test shows every number whole, however narrow the terminal is."""

import io
import math
import shlex
from pathlib import Path

import pytest
from rich.console import Console

from gans.errors import InputError
from gans.run.test_results import CheckpointResults, TestResults, read_results

VALUES = {"discriminator_accuracy": 0.5, "fid_10000_mnist1": 1234.56, "kid_10000_mnist1": 1.2345e-05}
REASON = "200 images of each kind are too few"


def printed(width: int, title: str = "run") -> str:
    tested = CheckpointResults(training_steps=12345, results=VALUES)
    results = TestResults(
        held_out_images=10_000,
        evaluated_images=10_000,
        features="0" * 64,
        checkpoints={"last": tested, "best": tested},
        floors={"fid_10000_mnist1": 1.234},
        left_out={"sliced_wasserstein": REASON},
    )
    console = Console(width=width, file=io.StringIO())
    console.print(results.table(title, width))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [40, 60, 72, 80, 100])
def test_numbers_are_whole_at_every_width(width: int) -> None:
    text = printed(width)
    assert all(len(line) <= width for line in text.splitlines())
    assert "…" not in text
    words = text.replace("│", " ").split()
    assert [words.count(number) for number in ("0.5", "1235", "1.234e-05", "1.234")] == [2, 2, 2, 1]
    assert all(part in words for part in REASON.split())


def test_a_title_is_shown_as_it_is() -> None:
    assert "faces [v2]" in printed(100, "faces [v2]")


def test_only_a_wide_table_has_room_for_how_many_images() -> None:
    assert "10000, mnist1" in printed(100)
    assert "mnist1" not in printed(40)


def test_a_metric_that_is_no_number_stays_one_in_the_file_and_the_table(tmp_path: Path) -> None:
    values = {"a_9": math.nan, "b_9": math.inf, "c_9": -math.inf, "d_9": 0.5}
    tested = CheckpointResults(training_steps=1, results=values)
    results = TestResults(
        held_out_images=9, evaluated_images=9, features=None, checkpoints={"last": tested}, floors=values, left_out={}
    )
    results.write(tmp_path / "test.json")
    read = read_results(tmp_path / "test.json")
    for found in (read.floors, read.checkpoints["last"].results):
        assert math.isnan(found["a_9"])
        assert (found["b_9"], found["c_9"], found["d_9"]) == (math.inf, -math.inf, 0.5)
    console = Console(width=100, file=io.StringIO())
    console.print(read.table("run", 100))
    assert isinstance(console.file, io.StringIO)
    words = console.file.getvalue().replace("│", " ").split()
    assert [words.count(each) for each in ("nan", "inf", "-inf")] == [2, 2, 2]


@pytest.mark.parametrize("content", ["{", '{"schema_version": 1}'])
def test_a_damaged_file_says_how_to_test_the_run_again(tmp_path: Path, content: str) -> None:
    folder = tmp_path / "my run"
    folder.mkdir()
    (folder / "config.yaml").write_text("seed: 0")
    (folder / "test.json").write_text(content)
    with pytest.raises(InputError) as refused:
        read_results(folder / "test.json")
    words = shlex.split(str(refused.value).split("with: ")[1])
    assert words[0] == "python"
    assert words[-1].startswith("test=")
    assert str(folder) in words[-1]


def test_a_figure_that_one_checkpoint_lacks_is_an_empty_cell() -> None:
    """A metric of the user's own may return other values for other samples."""
    last, best = (CheckpointResults(training_steps=1, results=values) for values in (VALUES, {}))
    results = TestResults(
        held_out_images=9,
        evaluated_images=9,
        features=None,
        checkpoints={"last": last, "best": best},
        floors={},
        left_out={},
    )
    console = Console(width=100, file=io.StringIO())
    console.print(results.table("run", 100))
    assert isinstance(console.file, io.StringIO)
    assert "1235" in console.file.getvalue()
