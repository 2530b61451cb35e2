"""How to share the cores among the members of a sweep: seeds in an hour, the start of each process counted.

    python benchmarks/sweep.py data=mnist                       # the reports' four models
    python benchmarks/sweep.py model=autoencoder,lab_ring data=mnist rounds=3

Takes the overrides of train.py; ``model`` may also be one of conf/experiment/ that no model is called, such as
lab_ring, which has data of its own. The ways to
share (one job with all cores, ..., a job for each core) alternate in one run, because machines are noisy: compare the
ratios. Jobs of one way run side by side. The start is a whole command of train.py with a budget of one step, without
its metrics and figures: imports, data, networks, checkpoints and the end of a process.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import mean, median
from time import perf_counter

import joblib
from step import CONF, ONE_STEP, STEPS, asked, process, quiet, run_config, time_package

from gans.config.build import build_data


def splits(cores: int) -> list[tuple[int, int]]:
    """(jobs, threads of each) that use all cores."""
    return [(jobs, cores // jobs) for jobs in range(1, cores + 1) if cores % jobs == 0]


def run_steps(overrides: list[str]) -> int:
    """Training steps of the run that these overrides are of."""
    config = run_config(overrides, budget=())
    trainer = config.trainer
    return trainer["max_steps"] or trainer["max_epochs"] * len(build_data(config).train_batches)


def start_seconds(overrides: Sequence[str], jobs: int, threads: int) -> float:
    """What a job costs beside its steps, when so many start at once."""
    command = [sys.executable, str(CONF.parent / "train.py"), *overrides, *ONE_STEP, "metric=none", "figure=none"]
    with tempfile.TemporaryDirectory() as folder:
        begin = perf_counter()
        started = [
            subprocess.Popen(
                [*command, f"seed={seed}", f"runs={folder}"],
                env=os.environ | {"OMP_NUM_THREADS": str(threads)},
                stdout=subprocess.DEVNULL,
                stderr=(Path(folder) / f"{seed}.log").open("wb"),
            )
            for seed in range(jobs)
        ]
        seconds = []
        for seed, each in enumerate(started):
            if each.wait() != 0:
                sys.exit((Path(folder) / f"{seed}.log").read_text())
            seconds.append(perf_counter() - begin)
    return mean(seconds)


def compare(model: str, others: list[str], rounds: int) -> list[str]:
    """The rows of one model."""
    is_experiment = not (CONF / "model" / f"{model}.yaml").exists()
    own = [each for each in others if not each.startswith("data")]
    overrides = [f"experiment={model}", *own] if is_experiment else [f"model={model}", *others]
    config, budget = run_config(overrides), run_steps(overrides)
    ways = splits(joblib.cpu_count())
    steps: dict[tuple[int, int], list[float]] = {way: [] for way in ways}
    starts: dict[tuple[int, int], list[float]] = {way: [] for way in ways}
    with ExitStack() as stack:
        pools = {
            (jobs, threads): [stack.enter_context(process(threads)) for _ in range(jobs)] for jobs, threads in ways
        }
        for turn in range(rounds + 1):
            for way, pool in pools.items():
                waiting = [each.submit(time_package, config, "32-true", STEPS) for each in pool]
                step = mean(each.result().step for each in waiting)
                start = start_seconds(overrides, *way)
                if turn > 0:  # the first is a warm-up
                    steps[way].append(step)
                    starts[way].append(start)

    hourly = {
        (jobs, threads): [
            3600 * jobs / (start + budget * step)
            for start, step in zip(starts[jobs, threads], steps[jobs, threads], strict=True)
        ]
        for jobs, threads in ways
    }
    rows = []
    for (jobs, threads), rates in hourly.items():
        step, start = median(steps[jobs, threads]), median(starts[jobs, threads])
        ratios = [rate / alone for rate, alone in zip(rates, hourly[ways[0]], strict=True)]
        cells = [
            f"{model}, {budget:,} steps of batch {config.data['batch_size']}",
            f"{jobs} x {threads}",
            f"{1000 * step:.1f}",
            f"{start:.1f}",
            f"{start / (start + budget * step):.1%}",
            f"{median(rates):.2f}",
            f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def main(arguments: list[str]) -> None:
    quiet()
    models, rounds, others = asked(arguments)
    print(f"{joblib.cpu_count()} cores; medians of {rounds} interleaved rounds of {STEPS} steps and one start")
    print("| | jobs x threads | ms a step | start, s | its share | seeds an hour | times one job, lowest to highest |")
    print("|---|---|---|---|---|---|---|")
    for model in models:
        print("\n".join(compare(model, others, rounds)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
