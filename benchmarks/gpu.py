"""All that waits for a GPU, in one command: the table of step.py there, and the report's whole run in each precision.

    python benchmarks/gpu.py data=mnist
    python benchmarks/gpu.py data=mnist model=dcgan rounds=3 steps=10000

Takes the overrides of train.py, ``model`` and ``rounds`` for step.py alone and ``steps`` for whole_run.py alone.
"""

import sys

import step
import whole_run


def main(arguments: list[str]) -> None:
    if step.DEVICE.type != "cuda":
        sys.exit("error: PyTorch finds no GPU here; what this measures on a CPU, step.py and whole_run.py measure")
    step.main(without(arguments, "steps"))
    whole_run.main(without(arguments, "model", "rounds"))


def without(arguments: list[str], *names: str) -> list[str]:
    return [each for each in arguments if each.partition("=")[0] not in names]


if __name__ == "__main__":
    main(sys.argv[1:])
