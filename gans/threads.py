"""How many of the machine's cores this process takes."""

import joblib
import torch


def take_cores(processes: int = 1) -> None:
    """As many threads as this process's share of the cores has, or fewer where OMP_NUM_THREADS says so.

    PyTorch starts one for each core of the machine, also in a container that may use the time of a few.

    Args:
        processes: how many share the cores.
    """
    torch.set_num_threads(max(1, min(torch.get_num_threads(), joblib.cpu_count() // processes)))
