from pathlib import Path

import pytest

from tunegate.errors import InputError
from tunegate.tracking.outbox import (
    ADAPTER,
    Record,
    Run,
    artifacts_of,
    mark_uploaded,
    read_records,
    receipt_now,
    write_record,
)


def written(root: Path, tmp_path: Path, **changes: str) -> Record:
    adapter = tmp_path / "adapter"
    adapter.mkdir(exist_ok=True)
    (adapter / "adapter_model.safetensors").write_text("weights")
    run = Run(name="n", commit="c", branch="", dirty=True, lineage="k", params={}, metrics={"m": 0.5})
    return write_record(run.model_copy(update=changes), {ADAPTER: adapter}, root)


def test_a_record_reads_as_it_was_written(tmp_path: Path) -> None:
    record = written(tmp_path / "runs", tmp_path)
    assert read_records(tmp_path / "runs") == [record]
    assert (artifacts_of(record, tmp_path / "runs") / ADAPTER / "adapter_model.safetensors").read_text() == "weights"


def test_the_id_follows_from_what_the_record_says(tmp_path: Path) -> None:
    same, other = written(tmp_path / "a", tmp_path), written(tmp_path / "b", tmp_path, lineage="other")
    assert written(tmp_path / "c", tmp_path).id == same.id
    assert other.id != same.id


def test_the_oldest_record_comes_first(tmp_path: Path) -> None:
    records = [written(tmp_path / "runs", tmp_path, lineage=str(n)) for n in range(3)]
    assert [r.lineage for r in read_records(tmp_path / "runs")] == [r.lineage for r in records]


def test_an_outbox_that_does_not_exist_is_empty(tmp_path: Path) -> None:
    assert read_records(tmp_path / "runs") == []


def test_settling_twice_is_harmless(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    record = written(root, tmp_path)
    receipt = receipt_now(store="s", experiment_id="1", run_id="r", version="1")
    for _ in range(2):
        assert mark_uploaded(record, receipt, root).receipt == receipt
    assert not artifacts_of(record, root).exists()
    assert read_records(root)[0].receipt == receipt


def test_a_half_written_record_is_not_one(tmp_path: Path) -> None:
    half = tmp_path / "runs" / ".abc.123.part"
    half.mkdir(parents=True)
    (half / "record.json").write_text("{}")
    assert read_records(tmp_path / "runs") == []


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    record = written(tmp_path / "runs", tmp_path)
    path = tmp_path / "runs" / record.id / "record.json"
    path.write_text("{}")
    with pytest.raises(InputError) as caught:
        read_records(tmp_path / "runs")
    assert caught.value.place.startswith(str(path))
