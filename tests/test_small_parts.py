"""The small parts: random streams, means, the metrics file, tiles."""

import csv
from pathlib import Path

import numpy
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gans.figures.drawing import GAP, SPACE, tile
from gans.means import MeanAccumulator
from gans.run.metrics_file import MetricsFile
from gans.randomness import MANY, Streams, derive_seed, random_words, splitmix64
from gans.run.rewind import truncate_after
from gans.run.folder import new_folder
from gans.run.machine import take_cores

seeds = st.integers(0, 2**63 - 1)


@given(seeds, st.integers(0, 10**6))
def test_a_stream_depends_on_its_seed_stage_step_and_name_alone(seed: int, step: int) -> None:
    def draw(stage: str, step: int = 0, name: str = "latent") -> list[float]:
        streams = Streams(seed, stage, step)
        return torch.rand(4, generator=streams(name)).tolist()

    first = draw("train", step)
    busy = Streams(seed, "train", step)
    torch.rand(100, generator=busy("labels"))
    assert torch.rand(4, generator=busy("latent")).tolist() == first
    assert draw("train", step + 1) != first
    assert draw("held-out", step) != first
    assert draw("train", step, name="labels") != first
    assert derive_seed(seed, "train", step) != derive_seed(seed + 1, "train", step)


@given(seeds, st.integers(0, 100))
def test_splitmix64_is_its_recurrence(seed: int, count: int) -> None:
    def reference(state: int) -> int:
        word = state % 2**64
        word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        word = (word ^ word >> 27) * 0x94D049BB133111EB % 2**64
        return word ^ word >> 31

    found = splitmix64(torch.tensor(seed), count).numpy().view(numpy.uint64).tolist()
    assert found == [reference(seed + index * 0x9E3779B97F4A7C15) for index in range(1, count + 1)]


def test_splitmix64_gives_known_values() -> None:
    """Those by which implementations are commonly checked, of seed 1234567."""
    found = splitmix64(torch.tensor(1234567), 5).numpy().view(numpy.uint64).tolist()
    assert found == [
        6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821,
    ]  # fmt: skip


@pytest.mark.parametrize("count", [MANY - 1, MANY])
def test_random_words_use_all_bits_and_are_new_each_time(count: int) -> None:
    torch.manual_seed(0)
    first, second = (random_words(count) for _ in range(2))
    for words in (first, second, first ^ second):
        ones = torch.stack([(words >> bit) & 1 for bit in range(64)]).double().mean(1)
        assert (ones - 0.5).abs().max() < 5 * 0.5 / count**0.5
    torch.manual_seed(0)
    assert torch.equal(random_words(count), first)


def test_asking_a_stream_twice_goes_on_where_it_was() -> None:
    once = torch.rand(6, generator=Streams(0, "train")("latent"))
    streams = Streams(0, "train")
    twice = torch.cat([torch.rand(3, generator=streams("latent")) for _ in range(2)])
    torch.testing.assert_close(once, twice)


@given(st.lists(st.tuples(st.floats(-1e3, 1e3), st.integers(1, 50)), min_size=1, max_size=20))
def test_means_are_weighted_means(values: list[tuple[float, int]]) -> None:
    means = MeanAccumulator()
    for value, weight in values:
        means.add({"loss": torch.tensor(value, dtype=torch.float64)}, weight)
    numbers, weights = zip(*values, strict=True)
    assert means.pop()["loss"] == pytest.approx(numpy.average(numbers, weights=weights), rel=1e-9, abs=1e-9)
    assert means.pop() == {}


def test_the_metrics_file_keeps_earlier_rows_when_columns_appear_and_drops_a_lost_future(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    first = MetricsFile(path, rows_in_memory=1)
    first.log_metrics({"a": 1.0}, step=1)
    first.log_metrics({"a": 2.0, "b": 5.0}, step=2)
    first.log_metrics({"b": 6.0}, step=3)
    records = {"rows": 2, "events": {}}
    truncate_after(tmp_path, records)
    resumed = MetricsFile(path, rows_in_memory=1)
    resumed.log_metrics({"a": 3.0, "c": 7.0}, step=3)
    resumed.save()
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert rows == [
        {"step": "1", "a": "1.0", "b": "", "c": ""},
        {"step": "2", "a": "2.0", "b": "5.0", "c": ""},
        {"step": "3", "a": "3.0", "b": "", "c": "7.0"},
    ]


@given(st.integers(1, 12), st.integers(1, 5))
def test_tiles_stand_in_reading_order_with_grey_between(count: int, columns: int) -> None:
    images = numpy.stack([numpy.full((3, 4), index, numpy.uint8) for index in range(count)])
    sheet = tile(images, columns)
    for index in range(count):
        top, left = GAP + index // columns * (3 + GAP), GAP + index % columns * (4 + GAP)
        assert (sheet[top : top + 3, left : left + 4] == index).all()
        assert (sheet[top - GAP : top, left : left + 4] == SPACE).all()


def test_folders_are_numbered_not_overwritten(tmp_path: Path) -> None:
    names = [new_folder(tmp_path / "runs", "a").name for _ in range(3)]
    assert names == ["a", "a_2", "a_3"]


@pytest.mark.parametrize(("cores", "processes", "threads"), [(1, 1, 1), (2, 1, 2), (2, 2, 1), (2, 5, 1), (64, 1, 4)])
def test_a_process_takes_its_share_of_the_cores_and_no_more_threads_than_it_was_given(
    monkeypatch: pytest.MonkeyPatch, cores: int, processes: int, threads: int
) -> None:
    monkeypatch.setattr("joblib.cpu_count", lambda: cores)  # which knows what a container may use
    torch.set_num_threads(4)
    take_cores(processes)
    assert torch.get_num_threads() == threads
