"""All that waits for a GPU, in one command of at most eight minutes. It writes what it has after each part.

    python benchmarks/gpu.py data=mnist                         # -> gpu.md
    python benchmarks/gpu.py data=mnist output=h100.md

Takes the overrides of train.py. The parts: the tests that need a GPU; step.py's table with TF32; 1, 2, 4 and 8 members
on the GPU, with and without NVIDIA's MPS; the report's whole DCGAN run, in TF32. A part that takes too long is ended,
and what it has printed is kept.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic

from step import DEVICE, process, quiet, run_config, time_package

LIMIT = 470
"""Seconds for all parts."""
MEMBERS, STEPS, WARM_UP = (1, 2, 4, 8), 300, 30
HERE = Path(__file__).resolve().parent


def parts(overrides: list[str]) -> list[tuple[str, list[str], int]]:
    """Of each part its title, its command, and the seconds that it may take."""
    python = sys.executable
    return [
        ("tests", [python, "-m", "pytest", "-q", "-rs", "-m", "gpu", "tests/test_gpu.py"], 90),
        ("steps", [python, str(HERE / "step.py"), "rounds=1", *overrides], 120),
        ("members, each alone", [python, __file__, "members=plain", *overrides], 60),
        ("members, with MPS", [python, __file__, "members=mps", *overrides], 60),
        ("whole run", [python, str(HERE / "whole_run.py"), "precision=TF32", *overrides], LIMIT),
    ]


def run_all(overrides: list[str], output: Path) -> None:
    end = monotonic() + LIMIT
    output.write_text("")
    for title, command, seconds in parts(overrides):
        begin = monotonic()
        with tempfile.TemporaryFile("w+") as printed:
            try:
                code = subprocess.run(
                    command,
                    cwd=HERE.parent,
                    stdout=printed,
                    stderr=subprocess.STDOUT,
                    timeout=max(1.0, min(seconds, end - begin)),
                ).returncode
                outcome = f"{monotonic() - begin:.0f} s" + (f", exit code {code}" if code else "")
            except subprocess.TimeoutExpired:
                outcome = f"ended after {monotonic() - begin:.0f} s"
            printed.seek(0)
            lines = [line.rpartition("\r")[2] for line in printed.read().splitlines()]  # without progress bars
        with output.open("a") as file:
            file.write("\n".join([f"## {title} ({outcome})", "", *lines, "", ""]))
        print(f"{title}: {outcome}; see {output}", flush=True)


def members(overrides: list[str], with_mps: bool) -> None:
    """Steps a second of several members together, each a process, as a sweep with per_gpu=... starts them."""
    quiet()
    config = run_config(["model=dcgan", *overrides])
    print("| members | ms a step of one | steps a second of all | times one |")
    print("|---|---|---|---|")
    alone = 0.0
    with mps() if with_mps else ExitStack():
        for count in MEMBERS:
            with ExitStack() as stack:
                pools = [stack.enter_context(process(1)) for _ in range(count)]
                for steps in (1, STEPS):  # the first starts the processes
                    waiting = [each.submit(time_package, config, "32-true", steps, WARM_UP) for each in pools]
                    costs = [each.result().step for each in waiting]
            rate = sum(1 / cost for cost in costs)
            alone = alone or rate
            print(f"| {count} | {1000 * count / rate:.2f} | {rate:.0f} | {rate / alone:.2f} |", flush=True)


@contextmanager
def mps() -> Iterator[None]:
    """Inside, processes that are started share the GPU by NVIDIA's Multi-Process Service."""
    control = "nvidia-cuda-mps-control"
    if shutil.which(control) is None:
        sys.exit(f"not run: {control} is not here")
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {f"CUDA_MPS_{name}_DIRECTORY": folder for name in ("PIPE", "LOG")}
        subprocess.run([control, "-d"], check=True)
        try:
            yield
        finally:
            subprocess.run([control], input="quit\n", text=True)


def main(arguments: list[str]) -> None:
    options = dict(each.partition("=")[::2] for each in arguments if each.startswith(("members=", "output=")))
    overrides = [each for each in arguments if each.partition("=")[0] not in options]
    if DEVICE.type != "cuda":
        sys.exit("error: PyTorch finds no GPU here; what this measures on a CPU, step.py and whole_run.py measure")
    if "members" in options:
        members(overrides, with_mps=options["members"] == "mps")
    else:
        run_all(overrides, Path(options.get("output", "gpu.md")))


if __name__ == "__main__":
    main(sys.argv[1:])
