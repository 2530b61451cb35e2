"""Whether a long run keeps its pace and its memory: a real run, watched from outside.

    python benchmarks/steady.py minutes=30 image=docs/images/steady.png data=mnist

Takes the overrides of train.py. After so many minutes of training the run is stopped by SIGTERM, and what its
TensorBoard events say of time is drawn beside the memory of its process. Training pauses to evaluate, draw and save: a
gap between two points of the curves counts as a pause for as much as it exceeds five times the median gap.
"""

import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy
import psutil
from matplotlib.figure import Figure
from numpy.typing import NDArray
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gans.run.folder import RunFolder

ROOT = Path(__file__).resolve().parent.parent
TAG = "train/discriminator_loss"
PAUSE = 5
Series = NDArray[numpy.float64]


def watch(folder: Path, minutes: float, overrides: list[str]) -> tuple[Series, Series]:
    """Run train.py; the times at which its memory was looked at, and the memory in MiB."""
    budget = ["trainer.max_epochs=null", "trainer.max_steps=100000000"]
    command = [sys.executable, str(ROOT / "train.py"), f"runs={folder}", *budget, *overrides]
    seen = []
    with subprocess.Popen(command) as process:
        memory = psutil.Process(process.pid)
        while not list(folder.glob("*/tensorboard/*")) and process.poll() is None:
            time.sleep(0.5)
        end = time.time() + 60 * minutes
        while time.time() < end and process.poll() is None:
            seen.append((time.time(), memory.memory_info().rss / 2**20))
            time.sleep(1)
        process.send_signal(signal.SIGTERM)
    if not seen:
        sys.exit(process.returncode)
    times, sizes = numpy.array(seen).T
    return times, sizes


def points(folder: Path) -> tuple[Series, Series]:
    """The times of the run's recorded points, and their training steps."""
    (path,) = folder.iterdir()
    reader = EventAccumulator(str(RunFolder(path).tensorboard), size_guidance={"scalars": 0})
    reader.Reload()
    found = reader.Scalars(TAG)
    return numpy.array([each.wall_time for each in found]), numpy.array([each.step for each in found], dtype=float)


def thirds(values: Series) -> str:
    """The medians of the first and the last third."""
    first, _, last = numpy.array_split(values, 3)
    return f"{numpy.median(first):,.2f} in the first third, {numpy.median(last):,.2f} in the last"


def main(arguments: list[str]) -> None:
    options = {name: value for name, _, value in (each.partition("=") for each in arguments)}
    overrides = [each for each in arguments if each.partition("=")[0] not in ("minutes", "image")]
    with TemporaryDirectory() as place:
        looked, sizes = watch(Path(place), float(options.get("minutes", 30)), overrides)
        times, steps = points(Path(place))
    gaps, done = numpy.diff(times), numpy.diff(steps)
    usual = numpy.median(gaps)
    pauses = numpy.maximum(0, gaps - PAUSE * usual)
    pace = 1000 * gaps / done
    steady = pauses == 0
    begin = times[0]

    figure = Figure(figsize=(8, 5), layout="constrained")
    upper, lower = figure.subplots(2, sharex=True)
    upper.plot((times[1:][steady] - begin) / 60, pace[steady], ".", markersize=2, alpha=0.4)
    upper.set(ylabel="ms a training step", ylim=(0, 3 * numpy.median(pace)))
    lower.plot((looked - begin) / 60, sizes)
    lower.set(ylabel="memory of the process, MiB", xlabel="minutes of training", ylim=(0, 1.2 * sizes.max()))
    figure.savefig(options.get("image", "steady.png"), dpi=120)

    # what is made once, for the first evaluation too, is there by then
    late = looked > begin + (times[-1] - begin) / 10
    print(f"{int(steps[-1]):,} steps in {(times[-1] - begin) / 60:.1f} minutes")
    print(f"ms a step: {thirds(pace[steady])}")
    print(f"MiB: {thirds(sizes[late])}; at most {sizes.max():,.0f}")
    print(f"pauses: {int((pauses > 0).sum())}, {pauses.sum() / (times[-1] - begin):.1%} of the time")


if __name__ == "__main__":
    main(sys.argv[1:])
