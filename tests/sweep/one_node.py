"""A SLURM of one node for tests: all of its daemons on 127.0.0.1, all of its files in one folder."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

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
    before = os.environ.get("SLURM_CONF")
    os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
    names = {"log-file": "log/munged.log", "pid-file": "run/munged.pid", "seed-file": "run/munge.seed"}
    files = [f"--{name}={folder / path}" for name, path in names.items()]
    try:
        subprocess.run(["munged", "--force", f"--key-file={key}", f"--socket={pipe}", *files], check=True)
        subprocess.run(["slurmctld", "-f", folder / "slurm.conf"], check=True)
        subprocess.run(["slurmd", "-f", folder / "slurm.conf"], check=True)
        end = time.monotonic() + 60
        while "idle" not in subprocess.run(["sinfo", "-h", "-o", "%T"], capture_output=True, text=True).stdout:
            assert time.monotonic() < end, (folder / "log" / "slurmctld.log").read_text()
            time.sleep(0.2)
        yield
    finally:
        subprocess.run(["scancel", "--me", "--signal=KILL", "--full"], capture_output=True)
        for name in ("slurmd", "slurmctld", "munged"):
            with suppress(OSError, ValueError, psutil.NoSuchProcess):
                daemon = psutil.Process(int((folder / "run" / f"{name}.pid").read_text()))
                daemon.terminate()
                daemon.wait(60)
        os.environ.pop("SLURM_CONF")
        if before is not None:
            os.environ["SLURM_CONF"] = before


def free_port() -> int:
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        port: int = tried.getsockname()[1]
        return port
