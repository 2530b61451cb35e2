"""The little that a run asks of SLURM: which job it is, whether it was requeued, and to be requeued."""

import os
import signal
import subprocess

REQUEUE_SIGNAL = getattr(signal, "SIGUSR1", None)
"""Sent ahead of the time limit or of preemption by ``sbatch --signal=USR1@90``."""


def job() -> str | None:
    """The job's id, the same after a requeue; None outside SLURM."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID")


def was_requeued() -> bool:
    return job() is not None and os.environ.get("SLURM_RESTART_COUNT", "0") != "0"


def requeue() -> str:
    """Ask for this job to run again; what came of it, in a few words."""
    command = ["scontrol", "requeue", job() or ""]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = getattr(error, "stderr", None) or str(error)
        return f"'{' '.join(command)}' failed: {' '.join(reason.split())}"
    return f"job {job()} is requeued, and goes on by itself"
