"""A SLURM of one node for tests: all of its daemons on 127.0.0.1, all of its files in one folder."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

COMMANDS = ("munged", "slurmctld", "slurmd", "sbatch")


def why_not() -> str | None:
    """Why it can't be started here; None if it can."""
    missing = [name for name in COMMANDS if shutil.which(name) is None]
    if missing:
        return f"not here: {', '.join(missing)} (Debian's munge, slurmctld, slurmd, slurm-client)"
    return None if os.geteuid() == 0 else "slurmd runs as root"


@contextmanager
def one_node(folder: Path) -> Iterator[None]:
    """Inside, SLURM's commands of this process and its children talk to it. Sockets need a short name of the folder."""
    for name in ("state", "spool", "run", "log"):
        (folder / name).mkdir()
    folder.chmod(0o755)
    key, pipe = folder / "munge.key", folder / "run" / "munge.sock"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    controller, node = free_port(), free_port()
    host = socket.gethostname().partition(".")[0]
    (folder / "slurm.conf").write_text(f"""
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={pipe}
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/slurmd.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
ReturnToService=2
SchedulerParameters=batch_sched_delay=0,sched_interval=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={os.cpu_count()} RealMemory=4000 State=UNKNOWN
PartitionName=test Nodes={host} Default=YES MaxTime=INFINITE State=UP
""")
    log = folder / "log"
    daemons = [
        ["munged", "--foreground", "--force", f"--key-file={key}", f"--socket={pipe}", f"--log-file={log}/munged.log",
         f"--pid-file={folder}/run/munged.pid", f"--seed-file={folder}/run/munge.seed"],
        ["slurmctld", "-D", "-f", f"{folder}/slurm.conf"],
        ["slurmd", "-D", "-f", f"{folder}/slurm.conf"],
    ]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
        for command in daemons:
            stack.callback(end, subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            if command[0] == "munged":
                wait_until(pipe.exists)
        stack.callback(clear_queue)
        wait_until(lambda: "idle" in output("sinfo", "-h", "-o", "%T"))
        yield


def clear_queue() -> None:
    """Kill the jobs of tests that have failed."""
    output("scancel", "--me", "--signal=KILL", "--full")
    output("scancel", "--me")


def end(daemon: subprocess.Popen[bytes]) -> None:
    daemon.terminate()
    try:
        daemon.wait(20)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()


def output(*command: str) -> str:
    """What one of SLURM's commands prints; some repeat for minutes what SLURM refuses."""
    with suppress(subprocess.TimeoutExpired):
        return subprocess.run(command, capture_output=True, text=True, timeout=10).stdout
    return ""


def wait_until(holds: Callable[[], object], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)


def free_port() -> int:
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        port: int = tried.getsockname()[1]
        return port
