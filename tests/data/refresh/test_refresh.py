import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from servers import Api, api

from tunegate.data.refresh.refresh import FOLDER
from tunegate.data.refresh.snapshot import Snapshot
from tunegate.errors import InputError, MachineError
from tunegate.files import write_json, write_yaml

from .conftest import Project

PAGES, SIZE = 8, 700
ROWS = [{"id": n, "text": f"Question {n}", "at": n * 7919 % 10007} for n in range(PAGES * SIZE)]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with api() as served:
        served.handle = lambda query: ROWS[(int(query["page"]) - 1) * SIZE : int(query["page"]) * SIZE]
        yield served


def declared(server: Api, **keys: Any) -> dict[str, Any]:
    return {"rest": {"url": f"{server.url}/tickets", "key": "id", "pagination": {"kind": "page"}, **keys}}


def start(project: Project, server: Api, **keys: Any) -> "subprocess.Popen[str]":
    """The command in a process of its own, which has no answer from page 5 on."""
    write_yaml(project.root / "data/sources.yaml", {"sources": [{"name": "tickets", **declared(server, **keys)}]})
    server.requests.clear()
    answer, hang = server.handle, {"on": True}

    def handle(query: dict[str, str]) -> Any:
        while int(query["page"]) >= 5 and hang["on"]:
            time.sleep(0.01)
        return answer(query)

    server.handle = handle
    command = [sys.executable, "-m", "tunegate.cli", "data", "refresh"]
    process = subprocess.Popen(command, cwd=project.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while not any(query.get("page") == "5" for query in server.queries):
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.01)
    process.release = lambda: hang.update(on=False)  # type: ignore[attr-defined]
    return process


def kill(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()
    process.release()  # type: ignore[attr-defined]


def test_a_refresh_that_was_killed_goes_on_and_gives_the_same_bytes(project: Project, server: Api) -> None:
    project.refresh(declared(server), name="whole")
    kill(start(project, server))
    assert not (project.raw / "tickets.parquet").exists()
    server.requests.clear()
    outcome = project.refresh(declared(server))
    assert outcome.resumed == 2 * 2 * SIZE
    assert server.queries[0] == {"page": "5"}
    assert (project.raw / "tickets.parquet").read_bytes() == (project.raw / "whole.parquet").read_bytes()
    assert list((project.root / FOLDER).glob("tickets/*")) == []


def test_what_another_declaration_fetched_is_not_used(project: Project, server: Api) -> None:
    kill(start(project, server))
    outcome = project.refresh(declared(server, parameters={"open": True}))
    assert (outcome.resumed, outcome.received) == (0, len(ROWS))


def test_what_was_fetched_yesterday_is_not_used(project: Project, server: Api) -> None:
    kill(start(project, server))
    progress = project.root / FOLDER / "tickets/progress.json"
    os.utime(progress, (time.time() - 25 * 3600,) * 2)
    assert project.refresh(declared(server)).resumed == 0


def test_a_source_is_refreshed_by_one_process_at_a_time(
    project: Project, server: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TUNEGATE_TEST_FORKSERVER", raising=False)
    process = start(project, server)
    for wishes in ({}, {"dry_run": True}):
        with pytest.raises(MachineError, match=rf"another refresh of this source is running \(process {process.pid}\)"):
            project.refresh(declared(server), **wishes)
    process.release()  # type: ignore[attr-defined]
    output = process.communicate()[0]
    assert process.returncode == 0, output
    assert f"tickets: {len(ROWS)} rows added, 0 edited, 0 removed; now {len(ROWS)} rows" in output


def test_an_interrupt_says_that_nothing_half_written_was_kept(project: Project, server: Api) -> None:
    process = start(project, server)
    process.send_signal(signal.SIGINT)
    process.release()  # type: ignore[attr-defined]
    output = process.communicate()[0]
    assert (process.returncode, output.splitlines()[-1]) == (130, "stopped by SIGINT: nothing half-written was kept")
    assert not (project.raw / "tickets.parquet").exists()


def test_a_kill_between_rows_and_record_is_finished_by_the_next_refresh(
    project: Project, server: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.handle = lambda query: ROWS[:3] if query["page"] == "1" else []
    project.refresh(declared(server))
    old = project.record()
    server.handle = lambda query: ROWS[:5] if query["page"] == "1" else []

    def killed(path: Path, value: Any) -> None:
        if path.parent == project.raw:
            raise KeyboardInterrupt
        write_json(path, value)

    monkeypatch.setattr("tunegate.data.refresh.snapshot.write_json", killed)
    with pytest.raises(KeyboardInterrupt):
        project.refresh(declared(server))
    assert (len(project.rows()), project.record()) == (5, old)
    monkeypatch.undo()
    monkeypatch.chdir(project.root)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(InputError, match="a refresh was stopped while it put a snapshot into place"):
        project.refresh(declared(server), dry_run=True)
    outcome = project.refresh(declared(server))
    assert (outcome.changed, outcome.finished, outcome.received) == (True, True, 5)
    assert "data/raw/tickets.snapshot.json" in outcome.git_add
    assert project.record()["rows"] == 5
    assert project.refresh(declared(server)).changed is False


def test_what_was_made_ready_before_the_snapshot_was_replaced_is_thrown_away(
    project: Project, server: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.handle = lambda query: ROWS[:3] if query["page"] == "1" else []
    project.refresh(declared(server))
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Snapshot, "install", lambda snapshot: _interrupt() if snapshot.is_ready else False)
        server.handle = lambda query: ROWS[:4] if query["page"] == "1" else []
        project.refresh(declared(server))
    shutil.move(project.root / FOLDER / "tickets", project.root / "older")
    server.handle = lambda query: ROWS[:6] if query["page"] == "1" else []
    project.refresh(declared(server))
    before = project.state()
    shutil.move(project.root / "older", project.root / FOLDER / "tickets")
    outcome = project.refresh(declared(server))
    assert (outcome.changed, outcome.finished) == (False, False)
    assert project.state() == before


def _interrupt() -> bool:
    raise KeyboardInterrupt


def test_a_rehearsal_says_what_would_change_and_writes_nothing(project: Project, server: Api) -> None:
    project.refresh(declared(server))
    before = project.state()
    server.handle = lambda query: ROWS[1:4] if query["page"] == "1" else []
    outcome = project.refresh(declared(server), dry_run=True)
    assert (outcome.changed, outcome.changes.removed, outcome.changes.examples["removed"][0]) == (True, 5597, "0")
    assert project.state() == before
    assert list((project.root / FOLDER).glob("tickets*/*")) == []


def test_rows_that_are_not_those_of_the_record_stop_a_refresh(project: Project, server: Api) -> None:
    project.refresh(declared(server))
    rows = project.raw / "tickets.parquet"
    kept = rows.read_bytes()
    rows.unlink()
    with pytest.raises(InputError, match="its rows are not here") as caught:
        project.refresh(declared(server))
    assert "dvc pull data/raw/tickets.parquet" in caught.value.remedy
    rows.write_bytes(kept[:-1])
    with pytest.raises(InputError, match=r"not the rows that data/raw/tickets\.snapshot\.json names"):
        project.refresh(declared(server))


def test_another_declaration_reads_everything_and_writes_only_what_differs(project: Project, server: Api) -> None:
    project.refresh(declared(server, cursor={"column": "at", "parameter": "since"}))
    before = project.state()
    outcome = project.refresh(declared(server))
    assert (outcome.changed, outcome.changes.any, outcome.received) == (True, False, len(ROWS))
    assert project.state()["tickets.parquet"] == before["tickets.parquet"]
    assert "cursor" not in project.record()["declared"]


def test_a_snapshot_that_dvc_does_not_track_yet_is_tracked_by_the_next_refresh(project: Project, server: Api) -> None:
    project.refresh(declared(server))
    (project.raw / "tickets.parquet.dvc").unlink()
    outcome = project.refresh(declared(server))
    assert (outcome.changed, outcome.changes.any) == (True, False)
    assert "data/raw/tickets.parquet.dvc" in outcome.git_add


def test_a_stage_that_depends_on_the_folder_of_snapshots_runs_when_one_changes(
    project: Project, server: Api, run: Callable[..., str], tmp_path: Path
) -> None:
    stage = {"cmd": "cp data/raw/tickets.parquet copy", "deps": ["data/raw"], "outs": ["copy"]}
    write_yaml(project.root / "dvc.yaml", {"stages": {"ingest": stage}})
    server.handle = lambda query: ROWS[:3] if query["page"] == "1" else []
    project.refresh(declared(server))
    assert "Running stage 'ingest'" in run("dvc", "repro", cwd=project.root)
    project.refresh(declared(server))
    assert "Data and pipelines are up to date" in run("dvc", "repro", cwd=project.root)
    server.handle = lambda query: ROWS[:4] if query["page"] == "1" else []
    project.refresh(declared(server))
    assert "Running stage 'ingest'" in run("dvc", "repro", cwd=project.root)
    run("git", "add", "-A", cwd=project.root)
    run("git", "commit", "-qm", "A snapshot", cwd=project.root)
    run("git", "clone", "-q", str(project.root), str(tmp_path / "clone"), cwd=tmp_path)
    run("dvc", "cache", "dir", "--local", str(project.root / ".dvc/cache"), cwd=tmp_path / "clone")
    run("dvc", "checkout", "-q", cwd=tmp_path / "clone")
    assert "Data and pipelines are up to date" in run("dvc", "repro", cwd=tmp_path / "clone")
