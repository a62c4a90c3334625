import importlib
import sys
from collections.abc import Iterator

import psutil
import pyarrow as pa
import pytest

from tunegate.data.compute.engine import mapped
from tunegate.errors import InputError, MachineError
from tunegate.params import Compute

RAY = Compute(engine="ray")


@pytest.fixture
def two_workers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A Ray cluster of two worker processes on this machine alone."""
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    # Ray reads the variable when it is imported, which another test of this process may have done.
    monkeypatch.setattr("ray._private.ray_constants.ENABLE_RAY_CLUSTER", False)
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


def doubled(batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch.append_column("twice", pa.array([2 * n for n in batch["n"].to_pylist()]))


def refusing(batch: pa.RecordBatch) -> pa.RecordBatch:
    raise InputError("not a number", place=f"row {batch['n'][0]}", remedy="write one")


def cut(rows: int, size: int) -> list[pa.RecordBatch]:
    return pa.table({"n": range(rows)}).to_batches(max_chunksize=size)


def test_here_batches_are_worked_on_one_by_one_as_they_are_asked_for() -> None:
    taken = []

    def batches():  # type: ignore[no-untyped-def]
        for batch in cut(10, 2):
            taken.append(batch)
            yield batch

    found = mapped(doubled, batches(), Compute())
    assert next(found)["twice"].to_pylist() == [0, 2]
    assert len(taken) == 1


def test_a_cluster_gives_the_same_rows_in_the_same_order_and_listens_on_this_machine_alone(two_workers: None) -> None:
    importlib.import_module("ray")
    batches = cut(1_000, 7)
    here, there = (pa.Table.from_batches(mapped(doubled, batches, engine)) for engine in (Compute(), RAY))
    assert here.equals(there)
    children = psutil.Process().children(recursive=True)
    listening = [one.laddr.ip for child in children for one in child.net_connections() if one.status == "LISTEN"]
    assert listening
    assert {ip.removeprefix("::ffff:") for ip in listening} == {"127.0.0.1"}
    with pytest.raises(InputError) as caught:
        list(mapped(refusing, batches, RAY))
    assert str(caught.value) == "error: row 0: not a number\nfix: write one"


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MachineError) as caught:
        list(mapped(doubled, cut(2, 1), RAY))
    assert "tunegate[ray]" in caught.value.remedy
