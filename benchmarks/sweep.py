"""How to share the cores among the members of a sweep: training steps and whole runs in an hour, all members together.

    python benchmarks/sweep.py data=mnist                       # the reports' four models
    python benchmarks/sweep.py model=dcgan,residual data=digits rounds=10

Takes the overrides of train.py. The ways to share (one job with all cores, ..., a job for each core) alternate in one
run, because machines are noisy: compare the ratios. The jobs are processes that start together, and all train the
same; how far their first and last steps overlap is not arranged.
"""

import sys
from contextlib import ExitStack
from statistics import median

import joblib
from step import STEPS, asked, process, quiet, run_config, time_package

from gans.config.build import build_data


def splits(cores: int) -> list[tuple[int, int]]:
    """(jobs, threads of each) that use all cores."""
    return [(jobs, cores // jobs) for jobs in range(1, cores + 1) if cores % jobs == 0]


def run_steps(overrides: list[str]) -> int:
    """Training steps of the run that these overrides are of."""
    config = run_config(overrides, budget=())
    trainer = config.trainer
    return trainer["max_steps"] or trainer["max_epochs"] * len(build_data(config).train_batches)


def compare(model: str, overrides: list[str], rounds: int) -> list[str]:
    """The rows of one model."""
    config = run_config([f"model={model}", *overrides])
    budget = run_steps([f"model={model}", *overrides])
    ways = splits(joblib.cpu_count())
    together: dict[tuple[int, int], list[float]] = {way: [] for way in ways}
    with ExitStack() as stack:
        pools = {
            (jobs, threads): [stack.enter_context(process(threads)) for _ in range(jobs)] for jobs, threads in ways
        }
        for turn in range(rounds + 1):
            for way, pool in pools.items():
                waiting = [each.submit(time_package, config, "32-true", STEPS) for each in pool]
                costs = [each.result().step for each in waiting]
                if turn > 0:  # the first is a warm-up
                    together[way].append(sum(1 / cost for cost in costs))

    rows = []
    for (jobs, threads), rates in together.items():
        ratios = [rate / alone for rate, alone in zip(rates, together[ways[0]], strict=True)]
        cells = [
            f"{model}, batch {config.data['batch_size']}",
            f"{jobs} x {threads}",
            f"{1000 * jobs / median(rates):.1f}",
            f"{3600 * median(rates):,.0f}",
            f"{3600 * median(rates) / budget:.2f}",
            f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def main(arguments: list[str]) -> None:
    quiet()
    models, rounds, overrides = asked(arguments)
    print(f"{joblib.cpu_count()} cores; medians of {rounds} interleaved rounds of {STEPS} steps")
    print("| | jobs x threads | ms a step of one | steps an hour | seeds an hour | times one job, lowest to highest |")
    print("|---|---|---|---|---|---|")
    for model in models:
        print("\n".join(compare(model, overrides, rounds)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
