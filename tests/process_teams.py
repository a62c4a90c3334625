"""Several processes for tests of teams: forks of the test's process that meet in a file."""

import faulthandler
import multiprocessing
import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch.distributed as dist
from accelerate.state import AcceleratorState

from tunegate.files import read_json, write_json
from tunegate.params import Compute
from tunegate.training.parallel.rendezvous import joined
from tunegate.training.parallel.team import Team
from tunegate.training.parallel.workers import RENDEZVOUS_FILE

SECONDS = 60


def in_processes(
    work: Callable[[Team], Any],
    folder: Path,
    *,
    size: int = 2,
    strategy: Any = "ddp",
    meeting: bool = True,
    answers: int | None = None,
) -> list[Any]:
    """What `work(team)` returns in each of `size` processes, as JSON; {"error": …} for what it raises.

    They meet in a file, or without `meeting` where the environment says; only the first `answers` are asked.
    """
    folder.mkdir(parents=True)
    context = multiprocessing.get_context("fork")
    compute = Compute(processes=size, strategy=strategy)
    processes = [context.Process(target=_run, args=(work, folder, compute, rank, meeting)) for rank in range(size)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(SECONDS)
        process.kill()
    assert [process.exitcode for process in processes] == [0] * size, "a process of the team did not end by itself"
    return [read_json(folder / f"{rank}.json") for rank in range(size if answers is None else answers)]


def _run(work: Callable[[Team], Any], folder: Path, compute: Compute, rank: int, meeting: bool) -> None:
    AcceleratorState._reset_state(reset_partial_state=True)
    own = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": compute.processes, "LOCAL_WORLD_SIZE": compute.processes}
    os.environ |= {name: str(value) for name, value in own.items()}
    os.environ |= {"GLOO_SOCKET_IFNAME": "lo"} | ({RENDEZVOUS_FILE: str(folder / "meeting")} if meeting else {})
    faulthandler.dump_traceback_later(SECONDS - 5)
    try:
        with joined(compute, "cpu") as team:
            result = work(team)
    except BaseException as error:
        traceback.print_exc()
        result = {"error": str(error)}
        if dist.is_initialized():
            dist.destroy_process_group()
    write_json(folder / f"{rank}.json", result)
    os._exit(0)
