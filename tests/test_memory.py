"""Freed memory is kept for the next step, and given back after what takes more."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere nothing is kept")

GIVEN_BACK = """
import psutil
from gans.run.machine import give_freed_memory_back, keep_freed_memory

def resident():
    return psutil.Process().memory_info().rss >> 20

assert keep_freed_memory()
before = resident()
blocks = [bytearray(b"1") * (4 << 20) for _ in range(50)]
taken = resident()
blocks.clear()
freed = resident()
given = give_freed_memory_back()
print(taken - before, freed - before, resident() - before, given)
"""

TAKEN_AGAIN = """
import resource
from gans.run.machine import keep_freed_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

if {kept}:
    assert keep_freed_memory()

def step():
    blocks = [bytearray(b"1") * (4 << 20) for _ in range(5)]

step()
before = faults()
for _ in range(4):
    step()
print((faults() - before) * resource.getpagesize() >> 20)
"""


def printed_by(script: str) -> list[str]:
    """The words that a process of its own prints: what a process has freed before would change what is measured."""
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()


def test_freed_memory_is_kept_until_it_is_given_back() -> None:
    taken, kept, left, given = printed_by(GIVEN_BACK)
    assert int(taken) >= 200
    assert int(kept) >= 200
    assert int(left) < 20
    assert given == "True"


@pytest.mark.parametrize("kept", [True, False])
def test_freed_memory_is_there_for_the_next_step(kept: bool) -> None:
    """Each page that comes from the system is a fault when it is first written, of 80 MiB in all."""
    (new,) = map(int, printed_by(TAKEN_AGAIN.format(kept=kept)))
    assert new < 8 if kept else new > 40  # in a process that keeps less, 67 here
