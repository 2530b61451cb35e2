"""How a process uses its machine."""

import os
import subprocess
import sys

import pytest
import torch

from gans.errors import InputError
from gans.machine import KEPT_BYTES, emulates_bfloat16, require_accelerator, use_cores

STEPS = """
import resource
from gans.machine import keep_freed_memory

if {kept}:
    assert keep_freed_memory()

def step():
    blocks = [bytearray(b"1") * (4 << 20) for _ in range(5)]

step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4):
    step()
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) * resource.getpagesize() >> 20)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere nothing is kept")
@pytest.mark.parametrize("kept", [True, False])
def test_freed_memory_is_there_for_the_next_step(kept: bool) -> None:
    """Each page that comes from the system is a fault when it is first written, of 80 MiB in all. In a process of its
    own: what another has freed before would change what is measured."""
    script = [sys.executable, "-c", STEPS.format(kept=kept)]
    new = int(subprocess.run(script, capture_output=True, text=True, check=True).stdout)
    assert new < 8 if kept else new > 40
    assert KEPT_BYTES > 80 << 20


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 2), (64, 4)])
def test_a_process_takes_the_cores_it_may_use_and_no_more_threads_than_it_was_given(
    monkeypatch: pytest.MonkeyPatch, cores: int, threads: int
) -> None:
    monkeypatch.setattr("joblib.cpu_count", lambda: cores)  # which knows what a container may use
    torch.set_num_threads(4)
    use_cores()
    assert torch.get_num_threads() == threads


DENORMALS = """
import torch
from gans.machine import flush_denormals

torch.set_num_threads(2)
was_on = [flush_denormals()]
left = [int((torch.full((4_000_000,), 1e-40) * 1).count_nonzero())]  # by both threads
was_on.append(flush_denormals(False))
left.append(int((torch.full((1,), 1e-40) * 1).count_nonzero()))
print(was_on, left)
"""


def test_a_cpu_without_onednn_emulates_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.backends.mkldnn.is_available", lambda: False)
    assert emulates_bfloat16("cpu")
    assert not emulates_bfloat16("cuda")


@pytest.mark.slow
def test_numbers_that_slow_a_dead_network_down_are_zero_in_all_threads() -> None:
    """In a process of its own, which has started no threads."""
    done = subprocess.run([sys.executable, "-c", DENORMALS], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[False, True] [0, 1]"


@pytest.mark.parametrize(
    ("found", "refused", "accepted"),
    [
        (None, ["gpu", "cuda", "mps"], ["auto", "cpu"]),
        ("cuda", ["mps"], ["auto", "cpu", "gpu", "cuda"]),
        ("mps", ["cuda"], ["auto", "cpu", "gpu", "mps"]),
    ],
)
def test_an_accelerator_that_is_not_there_is_refused(
    monkeypatch: pytest.MonkeyPatch, found: str | None, refused: list[str], accepted: list[str]
) -> None:
    monkeypatch.setattr("gans.machine.find_accelerator", lambda: found)
    for name in accepted:
        require_accelerator(name)
    for name in refused:
        with pytest.raises(InputError, match="accelerator"):
            require_accelerator(name)


@pytest.mark.parametrize(
    ("given", "used"), [({}, "1000"), ({"OMP_WAIT_POLICY": "active"}, "None"), ({"GOMP_SPINCOUNT": "5"}, "5")]
)
def test_waiting_threads_leave_their_core_to_others(given: dict[str, str], used: str) -> None:
    """Unless the user says otherwise: with threads that spin, a run is many times slower beside another process."""
    code = "import gans, os; print(os.environ.get('GOMP_SPINCOUNT'))"
    of_tests = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
    environment = {name: value for name, value in os.environ.items() if name not in of_tests} | given
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == used
