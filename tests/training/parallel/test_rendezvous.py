import os
import socket
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from process_teams import in_processes
from torch._C._distributed_c10d import TCPStore

from tunegate.errors import InputError, MachineError
from tunegate.params import Compute
from tunegate.training.parallel import rendezvous
from tunegate.training.parallel.rendezvous import joined
from tunegate.training.parallel.team import ALONE, Team
from tunegate.training.parallel.workers import LOST_PEER, RENDEZVOUS_FILE

TWO = Compute(processes=2, strategy="ddp")
VARIABLES = (
    "RANK",
    "LOCAL_RANK",
    "WORLD_SIZE",
    "MASTER_ADDR",
    "MASTER_PORT",
    "TORCHELASTIC_USE_AGENT_STORE",
    RENDEZVOUS_FILE,
)


@pytest.fixture(autouse=True)
def started_by_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def enter(compute: Compute, device: str = "cpu") -> Team:
    with joined(compute, device) as team:
        return team


def add(team: Team) -> Any:
    return team.sums([team.rank + 1.0])


def test_one_process_is_alone_and_meets_nobody() -> None:
    assert enter(Compute()) is ALONE
    assert not dist.is_initialized()


@pytest.mark.parametrize(("compute", "started"), [(Compute(), "2"), (TWO, "4"), (TWO, "1")])
def test_another_number_of_processes_than_params_yaml_says_is_refused_with_both(
    compute: Compute, started: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", started)
    with pytest.raises(InputError, match=rf"started {started} processes, and .* is {compute.processes}"):
        enter(compute)


def test_what_a_launcher_did_not_say_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="did not set RANK, LOCAL_RANK"):
        enter(TWO)


@pytest.mark.parametrize(
    ("changed", "place", "words"),
    [
        ({"WORLD_SIZE": "x"}, "WORLD_SIZE", "must be a number from 0 .* \\(got 'x'\\)"),
        ({"RANK": "a"}, "RANK", "from 0 to 1 \\(got 'a'\\)"),
        ({"RANK": "2"}, "RANK", "from 0 to 1 \\(got '2'\\)"),
        ({"LOCAL_RANK": "-1"}, "LOCAL_RANK", "got '-1'"),
        ({"MASTER_PORT": "1x"}, "MASTER_PORT", "got '1x'"),
        ({"MASTER_ADDR": ""}, "environment", "did not set MASTER_ADDR"),
    ],
)
def test_what_a_launcher_said_wrongly_is_named_with_its_variable(
    changed: dict[str, str], place: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}
    for name, value in ({"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"} | meeting | changed).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=words) as caught:
        enter(TWO)
    assert caught.value.place == place


def test_two_nodes_on_one_machine_may_number_their_processes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1", RENDEZVOUS_FILE: "unused"}.items():
        monkeypatch.setenv(name, value)
    met: list[Any] = []
    monkeypatch.setattr(rendezvous, "_init_process_group", lambda *who: met.append(who))
    monkeypatch.setattr(dist, "barrier", lambda: None)
    monkeypatch.setattr(dist, "destroy_process_group", lambda: None)
    assert enter(Compute(nodes=2, strategy="ddp")).rank == 1
    assert met == [(1, 2, 1, "cpu")]


def test_a_name_that_is_not_known_yet_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendezvous, "_TURN_SECONDS", 0.0)
    own = {"MASTER_ADDR": "node.invalid", "MASTER_PORT": "29500", "WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    asked = []

    def unknown(*arguments: Any, **_: Any) -> Any:
        asked.append(arguments)
        if len(asked) == 3:
            monkeypatch.setattr(time, "monotonic", lambda: float("inf"))
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(MachineError, match=r"node\.invalid") as caught:
        enter(TWO)
    assert caught.value.place == "MASTER_ADDR"
    assert len(asked) == 3


def test_a_process_without_a_gpu_of_its_own_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": str(torch.cuda.device_count())}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=r"process 1 is to use GPU \d+, and this machine has \d+"):
        enter(TWO, "cuda")


def test_processes_of_several_machines_meet_at_an_address_and_listen_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psutil  # type: ignore[import-untyped]

    port = free_port()
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", str(port))

    def listening(team: Team) -> Any:
        assert add(team) == [3.0]
        return sorted({each.laddr.ip for each in psutil.Process().net_connections() if each.status == "LISTEN"})

    first, second = in_processes(listening, tmp_path / "team", meeting=False)
    assert first == ["127.0.0.1"]
    assert set(second) <= {"127.0.0.1"}


def test_an_address_that_is_not_of_the_first_node_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    own = {
        "MASTER_ADDR": "192.0.2.1",
        "MASTER_PORT": str(free_port()),
        "WORLD_SIZE": "2",
        "RANK": "0",
        "LOCAL_RANK": "0",
    }
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(MachineError, match=r"cannot listen on 192\.0\.2\.1:\d+") as caught:
        enter(TWO)
    assert "NODE_RANK 0" in caught.value.remedy


def test_processes_that_torchrun_started_meet_in_its_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    store = TCPStore("127.0.0.1", port, is_master=True, wait_for_workers=False, master_listen_fd=listening.detach())
    own = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_USE_AGENT_STORE": "True"}
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    assert in_processes(add, tmp_path / "team", meeting=False) == [[3.0], [3.0]]
    assert store.num_keys() > 0


def test_who_loses_another_process_says_that_the_cause_is_elsewhere(tmp_path: Path) -> None:
    def die(team: Team) -> Any:
        if team.rank == 1:
            os._exit(0)
        return [add(team) for _ in range(3)]

    (answer,) = in_processes(die, tmp_path / "team", answers=1)
    assert LOST_PEER in answer["error"]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])
