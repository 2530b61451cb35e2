"""How long a report's whole run takes: its training, curves and checks included, without evaluation and figures.

    python benchmarks/whole_run.py data=mnist                  # DCGAN: 50 epochs, 93,750 steps of batch 32
    python benchmarks/whole_run.py model=wgan data=digits steps=200 precision=float32

Takes the overrides of train.py, and ``steps`` in place of the report's number. In each precision that step.py
compares, one after the other, or in one of them.
"""

import sys

from step import DEVICE, PRECISIONS, allow_tf32, process, quiet, run_config, time_package

from gans.config.build import build_data

EPOCHS = 50


def main(arguments: list[str]) -> None:
    quiet()
    options = {"model": "dcgan"} | dict(each.split("=", 1) for each in arguments)
    steps, chosen = options.pop("steps", None), options.pop("precision", None)
    precisions = {name.partition(" ")[2]: precision for name, precision in PRECISIONS.items()}
    if chosen and chosen not in precisions:
        sys.exit(f"error: precision={chosen} is not timed on {DEVICE}: choose from {', '.join(precisions)}")
    config = run_config([f"{name}={value}" for name, value in options.items()])
    count = int(steps or EPOCHS * len(build_data(config).train_batches))
    print(f"{options['model']}, {count:,} steps of batch {config.data['batch_size']}, on {DEVICE}")
    for name, precision in precisions.items() if chosen is None else [(chosen, precisions[chosen])]:
        with process() as alone:
            alone.submit(allow_tf32, precision.tf32).result()
            cost = alone.submit(time_package, config, precision.trainer, count, 0, shown=True).result()
        print(f"{name}: {count * cost.step:.1f} s, {1000 * cost.step:.2f} ms a step", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
