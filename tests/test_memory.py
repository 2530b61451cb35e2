"""Freed memory is kept for the next step, and given back after what takes more."""

import subprocess
import sys

import pytest

SCRIPT = """
import psutil
from gans.memory import give_freed_memory_back, keep_freed_memory

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


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere nothing is kept")
def test_freed_memory_is_kept_until_it_is_given_back() -> None:
    ended = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    taken, kept, left, given = ended.stdout.split()
    assert int(taken) >= 200
    assert int(kept) >= 200
    assert int(left) < 20
    assert given == "True"
