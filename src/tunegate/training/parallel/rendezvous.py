"""A started process joins its team: its rank, the rendezvous, and what all must agree on.

Reads the environment that a launcher sets: ours, torchrun, `accelerate launch`, or one process per rank under Slurm and
the like. Processes of one machine use a file for the rendezvous, so that nothing listens but gloo on loopback; those of
several meet at MASTER_ADDR:MASTER_PORT, and only that address is listened on.
"""

import contextlib
import datetime
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import FileStore, Store, TCPStore

from tunegate.errors import InputError, MachineError
from tunegate.params import Compute
from tunegate.training.parallel.team import ALONE, Team
from tunegate.training.parallel.workers import CHILD, LOST_PEER, RENDEZVOUS_FILE, number_of

_TIMEOUT = datetime.timedelta(minutes=30)
"""How long one process waits for the others, at the start and at each exchange."""

_NAME_SECONDS = 60.0
_TURN_SECONDS = 1.0
_MOST = 1 << 16
"""Ports and processes have lower numbers."""

_VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE")


@contextlib.contextmanager
def joined(compute: Compute, device: str) -> Iterator[Team]:
    """The team that this process is one of, while the block runs.

    Raises InputError when a launcher started another number of processes than `compute` says, MachineError when one of
    the others is lost.
    """
    size = compute.processes * compute.nodes
    _require(size)
    if size == 1:
        yield ALONE
        return
    if os.environ.get(CHILD) == "1":
        threading.Thread(target=_end_with_parent, daemon=True).start()
    # Two nodes of a cluster may be on one machine.
    rank, local = number_of("RANK", below=size), number_of("LOCAL_RANK", below=size)
    try:
        if not dist.is_initialized():
            _init_process_group(rank, size, local, device)
        yield Team(rank, size, sharded=compute.strategy == "fsdp2", device=device)
        dist.barrier()
        dist.destroy_process_group()
    except (RuntimeError, dist.DistError) as error:
        if not _is_loss(error):
            raise
        remedy = "look at the last output of that process; `dvc repro` resumes from the last checkpoint"
        raise MachineError(f"{LOST_PEER} ({str(error).splitlines()[0]})", place="train", remedy=remedy) from None


def _require(size: int) -> None:
    started = number_of("WORLD_SIZE", below=_MOST, default="1")
    if started != size:
        problem = f"the launcher started {started} processes, and compute.processes times compute.nodes is {size}"
        raise InputError(problem, place="params.yaml: compute", remedy="let both say the same number")
    if size > 1:
        _require_set(_VARIABLES)


def _require_set(names: Sequence[str]) -> None:
    if missing := [name for name in names if not os.environ.get(name)]:
        problem = f"the launcher did not set {', '.join(missing)}"
        remedy = "start with torchrun, or let the stage start the processes"
        raise InputError(problem, place="environment", remedy=remedy)


def _init_process_group(rank: int, size: int, local: int, device: str) -> None:
    if device == "cuda":
        if local >= (gpus := torch.cuda.device_count()):
            problem = f"process {rank} is to use GPU {local}, and this machine has {gpus}"
            raise InputError(problem, place="params.yaml: compute.processes", remedy="start one process for each GPU")
        torch.cuda.set_device(local)
    backend = "nccl" if device == "cuda" else "gloo"
    if RENDEZVOUS_FILE in os.environ:
        store: Store = FileStore(os.environ[RENDEZVOUS_FILE], size)
    elif os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
        dist.init_process_group(backend, timeout=_TIMEOUT)  # torchrun's agent has opened a store
        return
    else:
        _require_set(("MASTER_ADDR", "MASTER_PORT"))
        store = _store_at(os.environ["MASTER_ADDR"], number_of("MASTER_PORT", below=_MOST), rank, size)
    store.set_timeout(_TIMEOUT)
    dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=_TIMEOUT)


def _store_at(address: str, port: int, rank: int, size: int) -> Store:
    if rank != 0:
        return TCPStore(address, port, size, is_master=False, timeout=_TIMEOUT, wait_for_workers=False)
    family = _family_of(address, port)
    try:
        # torch would listen on every address of the machine.
        listening = socket.create_server((address, port), family=family, backlog=size)
    except OSError as error:
        problem = f"cannot listen on {address}:{port}: {error.strerror}"
        remedy = "set MASTER_ADDR to an address of the node with NODE_RANK 0, and MASTER_PORT to a free port"
        raise MachineError(problem, place="MASTER_ADDR", remedy=remedy) from None
    return TCPStore(
        address,
        port,
        size,
        is_master=True,
        timeout=_TIMEOUT,
        wait_for_workers=False,
        master_listen_fd=listening.detach(),
    )


def _family_of(address: str, port: int) -> socket.AddressFamily:
    """Whether the address is one of IPv4 or IPv6. Waits for the name: a pod's resolves some time after its start."""
    until = time.monotonic() + _NAME_SECONDS
    while True:
        try:
            return socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0][0]
        except OSError as error:
            if time.monotonic() > until:
                problem = f"{address!r} cannot be resolved: {error.strerror}"
                raise MachineError(problem, place="MASTER_ADDR", remedy="set it to an address of node 0") from None
        time.sleep(_TURN_SECONDS)


def _is_loss(error: Exception) -> bool:
    return isinstance(error, dist.DistError) or "gloo" in str(error)


def _end_with_parent() -> None:
    # A process that outlived its parent would write the same checkpoint as the one that is started next.
    # Not through sys.stdin: its lock, held here, would stop the interpreter from ending.
    os.read(0, 1)
    os._exit(1)
