"""All that waits for a GPU, in one command: the table of step.py there, and the report's whole run in each precision.

python benchmarks/gpu.py data=mnist
"""

import sys

import step
import whole_run


def main(arguments: list[str]) -> None:
    if step.DEVICE.type != "cuda":
        sys.exit("error: PyTorch finds no GPU here; what this measures on a CPU, step.py and whole_run.py measure")
    step.main(arguments)
    whole_run.main(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
