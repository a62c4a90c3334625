import gzip
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pyarrow as pa
import pyarrow.parquet
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from servers import SSHD, ssh_server

from tunegate.errors import InputError, MachineError, RefusedError

from .conftest import Project

NEEDED = SSHD is None or shutil.which("ssh-keygen") is None


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    """A folder that stands for a bucket, with two files."""
    folder = tmp_path / "bucket/exports"
    folder.mkdir(parents=True)
    (folder / "a.jsonl").write_text('{"q": "One?", "n": 1}\n{"q": "Two?", "n": 2}\n')
    with gzip.open(folder / "b.csv.gz", "wt") as stream:
        stream.write("q,desk\nThree?,roof\n")
    (folder / "notes.txt").write_text("nothing")
    return folder


def stored_in(bucket: Path, pattern: str = "*.[jc]s*", **more: object) -> dict[str, object]:
    return {"object": {"url": f"file://{bucket}/{pattern}", **more}}


def test_files_become_one_snapshot_with_file_and_line(project: Project, bucket: Path) -> None:
    outcome = project.refresh(stored_in(bucket))
    assert outcome.changes.added == 3
    empty = {"desk": None, "n": None}
    assert project.rows() == [
        {"_file": "a.jsonl", "_line": 1, **empty, "n": 1, "q": "One?"},
        {"_file": "a.jsonl", "_line": 2, **empty, "n": 2, "q": "Two?"},
        {"_file": "b.csv.gz", "_line": 1, **empty, "desk": "roof", "q": "Three?"},
    ]
    assert list(project.record()["files"]) == ["a.jsonl", "b.csv.gz"]


def test_only_files_that_changed_are_fetched_and_what_is_gone_goes(project: Project, bucket: Path) -> None:
    project.refresh(stored_in(bucket))
    before = project.state()
    outcome = project.refresh(stored_in(bucket))
    assert (outcome.changed, outcome.received) == (False, 0)
    assert project.state() == before
    (bucket / "a.jsonl").write_text('{"q": "One!", "n": 1}\n')
    (bucket / "c.jsonl").write_text('{"q": "Four?"}\n')
    outcome = project.refresh(stored_in(bucket))
    changes = outcome.changes
    assert (outcome.received, changes.added, changes.edited, changes.removed) == (2, 1, 1, 1)
    assert changes.examples == {"added": ["c.jsonl, 1"], "edited": ["a.jsonl, 1"], "removed": ["a.jsonl, 2"]}
    (bucket / "b.csv.gz").unlink()
    assert project.refresh(stored_in(bucket)).changes.examples == {"removed": ["b.csv.gz, 1"]}
    incremental = project.state()["tickets.parquet"][0]
    (project.raw / "tickets.snapshot.json").unlink()
    project.refresh(stored_in(bucket))
    assert [row["q"] for row in project.rows()] == ["One!", "Four?"]
    assert len(incremental) >= len(project.state()["tickets.parquet"][0])


def test_a_store_without_files_deletes_nothing_unless_that_is_said(project: Project, bucket: Path) -> None:
    project.refresh(stored_in(bucket))
    before = project.state()
    for path in bucket.iterdir():
        path.unlink()
    with pytest.raises(RefusedError, match="the source has no rows, and had 3"):
        project.refresh(stored_in(bucket))
    assert project.state() == before
    assert project.refresh(stored_in(bucket), allow_empty=True).changes.removed == 3
    with pytest.raises(MachineError, match=r"cannot read the store: FileNotFoundError: .*exports/x\.jsonl"):
        project.refresh(stored_in(bucket, "x.jsonl"), name="other")


def test_a_bad_file_is_named_with_its_line_and_nothing_changes(project: Project, bucket: Path) -> None:
    project.refresh(stored_in(bucket))
    before = project.state()
    (bucket / "c.jsonl").write_text('{"q": "Four?"}\n{"q": \n')
    with pytest.raises(InputError, match=r"c\.jsonl:2"):
        project.refresh(stored_in(bucket))
    (bucket / "c.jsonl").write_text('{"_line": 3}\n')
    with pytest.raises(InputError, match=r"c\.jsonl:1: a column '_line'"):
        project.refresh(stored_in(bucket))
    (bucket / "c.jsonl").write_text('{"n": "four"}\n')
    with pytest.raises(
        InputError, match="column 'n': the column changed its type: it held integer, now text, for instance 'f"
    ):
        project.refresh(stored_in(bucket))
    assert project.state() == before


class Bare(MemoryFileSystem):
    """A store that says nothing of its files but their size."""

    protocol = "bare"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]

    def modified(self, path: str) -> Any:
        raise NotImplementedError

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.replace("bare://", "memory://")))


@pytest.mark.parametrize("protocol", ["memory", "bare"])
def test_a_change_that_keeps_the_size_is_seen_whatever_the_store_says(project: Project, protocol: str) -> None:
    fsspec.register_implementation("bare", Bare, clobber=True)
    store = fsspec.filesystem(protocol)
    store.pipe("/box/a.jsonl", b'{"q": "One?"}\n')
    store.pipe("/box/b.jsonl", b'{"q": "Two?"}\n')
    declared = {"object": {"url": f"{protocol}://box/*.jsonl"}}
    project.refresh(declared)
    before = project.state()
    assert project.refresh(declared).changed is False
    assert project.state() == before
    store.pipe("/box/a.jsonl", b'{"q": "New?"}\n')
    outcome = project.refresh(declared)
    assert (outcome.received, outcome.changes.examples) == (1, {"edited": ["a.jsonl, 1"]})


def test_a_file_of_another_format_is_named_before_any_is_fetched(project: Project, bucket: Path) -> None:
    with pytest.raises(InputError, match=r"the file 'notes\.txt' has no format that can be read") as caught:
        project.refresh(stored_in(bucket, "*"))
    assert "narrow the glob" in caught.value.remedy


def test_a_column_that_is_gone_from_all_files_is_an_error(project: Project, bucket: Path) -> None:
    project.refresh(stored_in(bucket, "a.jsonl"))
    (bucket / "a.jsonl").write_text('{"q": "One?", "m": 1}\n')
    with pytest.raises(InputError, match="column 'n': the column is gone"):
        project.refresh(stored_in(bucket, "a.jsonl"))


def test_times_without_a_zone_in_a_parquet_file_need_one(project: Project, bucket: Path) -> None:
    naive = pa.array([1_700_000_000_000_000], pa.timestamp("us"))
    pyarrow.parquet.write_table(pa.table({"q": ["One?"], "at": naive}), bucket / "d.parquet")
    with pytest.raises(InputError, match="at: the time 2023-11-14 22:13:20 has no time zone"):
        project.refresh(stored_in(bucket, "d.parquet"))
    project.refresh(stored_in(bucket, "d.parquet", time_zone="UTC"))
    assert project.rows()[0]["at"].isoformat() == "2023-11-14T22:13:20+00:00"


def test_a_store_whose_library_is_missing_names_it(project: Project) -> None:
    with pytest.raises(MachineError, match="Install s3fs") as caught:
        project.refresh({"object": {"url": "s3://bucket/*.jsonl"}})
    assert "install" in caught.value.remedy


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    home = tmp_path / "home"
    with ssh_server(home) as address:
        monkeypatch.setenv("HOME", str(home))
        yield address


@pytest.mark.skipif(NEEDED and os.environ.get("TUNEGATE_TEST_EVERYTHING") != "1", reason="needs openssh-server")
def test_files_behind_an_ssh_server_are_fetched_once(
    project: Project, bucket: Path, ssh: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_KEY", str(tmp_path / "home/person"))
    options = {"client_keys": str(tmp_path / "home/person"), "known_hosts": str(tmp_path / "home/.ssh/known_hosts")}
    declared = {"object": {"url": f"ssh://{ssh}{bucket}/*.jsonl", "options": options}}
    assert project.refresh(declared).changes.added == 2
    before = project.state()
    assert project.refresh(declared).received == 0
    assert project.state() == before
    other = declared["object"] | {"options": options | {"known_hosts": str(tmp_path / "home/host.pub")}}
    with pytest.raises(MachineError, match="cannot read the store"):
        project.refresh({"object": other}, name="other")
