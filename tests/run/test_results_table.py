"""The table of a test shows every number whole, however narrow the terminal is."""

import io

import pytest
from rich.console import Console

from gans.run.test_results import CheckpointResults, TestResults

VALUES = {"discriminator_accuracy": 0.5, "fid_10000_mnist1": 1234.56, "kid_10000_mnist1": 1.2345e-05}
REASON = "200 images of each kind are too few"


def printed(width: int) -> str:
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
    console.print(results.table("run", width))
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


def test_only_a_wide_table_has_room_for_how_many_images() -> None:
    assert "10000, mnist1" in printed(100)
    assert "mnist1" not in printed(40)
