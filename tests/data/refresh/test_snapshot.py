import os
from pathlib import Path

import pytest

from tunegate.data.refresh.snapshot import Record, Snapshot
from tunegate.errors import InputError
from tunegate.files import read_json, sha256_of, write_json


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    return Snapshot(tmp_path / "raw", "tickets", tmp_path / "spool")


def make_ready(snapshot: Snapshot, rows: bytes) -> Record:
    snapshot.new_path.parent.mkdir(exist_ok=True)
    snapshot.new_path.write_bytes(rows)
    facts = {"cursor": None, "columns": {"id": "integer"}, "rows": len(rows), "refreshed": "2026-01-01T00:00:00+00:00"}
    record = Record(source="tickets", kind="rest", declared={}, sha256=sha256_of(snapshot.new_path), **facts)
    snapshot.prepare(record)
    return record


def test_before_the_first_refresh_there_is_no_record_and_nothing_to_install(snapshot: Snapshot) -> None:
    assert (snapshot.record(), snapshot.is_ready, snapshot.install()) == (None, False, False)


def test_new_rows_replace_the_old_file_and_are_never_written_into_it(snapshot: Snapshot, tmp_path: Path) -> None:
    make_ready(snapshot, b"old")
    assert snapshot.install()
    os.link(snapshot.path, tmp_path / "cached")
    record = make_ready(snapshot, b"newer")
    assert snapshot.install()
    assert (snapshot.record(), snapshot.path.read_bytes()) == (record, b"newer")
    assert (tmp_path / "cached").read_bytes() == b"old"


def test_what_is_in_place_already_is_installed_again_without_harm(snapshot: Snapshot) -> None:
    record = make_ready(snapshot, b"rows")
    assert [snapshot.install(), snapshot.install()] == [True, True]
    assert snapshot.record() == record


def test_a_record_with_an_unknown_key_is_refused_with_its_file(snapshot: Snapshot) -> None:
    make_ready(snapshot, b"rows")
    snapshot.install()
    write_json(snapshot.record_path, read_json(snapshot.record_path) | {"rowz": 3})
    with pytest.raises(InputError, match="unknown key") as caught:
        snapshot.record()
    assert caught.value.place == f"{snapshot.record_path}: rowz"
    assert "git" in caught.value.remedy
