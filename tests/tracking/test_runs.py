"""Real MLflow stores: sqlite files, a closed port, and one real server."""

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tunegate.errors import MachineError
from tunegate.repository.working_copy import UNVERSIONED
from tunegate.tracking import outbox, registry, runs, store
from tunegate.tracking.outbox import Record, Run, read_records, write_record

ROOT = Path("outbox")


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_store: bytes) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("MLFLOW_REGISTRY_URI", raising=False)
    (tmp_path / "mlflow.db").write_bytes(empty_store)


def recorded(lineage: str = "a" * 64, commit: str = "c" * 40) -> Record:
    adapter = Path("adapter")
    adapter.mkdir(exist_ok=True)
    (adapter / "adapter_config.json").write_text("{}")
    (adapter / "adapter_model.safetensors").write_text("weights")
    Path("trajectory.csv").write_text("step,epoch,loss,valid_loss\n1,0,3.5,\n2,0,2.5,2.75\n")
    Path("report.html").write_text("<p>report</p>")
    run = Run(
        name="helpdesk",
        commit=commit,
        branch="main",
        dirty=False,
        lineage=lineage,
        params={"train.rank": "16"},
        metrics={"tuned.accuracy": 0.5, "base.accuracy": 0.0},
        tags={"tunegate.hardware.train": "a processor"},
    )
    artifacts = {outbox.ADAPTER: adapter, runs.TRAJECTORY: Path("trajectory.csv"), "report.html": Path("report.html")}
    return write_record(run, artifacts, ROOT)


def client() -> Any:
    return store.connect()


def all_runs() -> list[Any]:
    experiment = client().get_experiment_by_name("helpdesk")
    return list(client().search_runs([experiment.experiment_id])) if experiment else []


def versions() -> list[Any]:
    return list(client().search_model_versions("name = 'helpdesk'"))


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_a_run_has_params_metrics_lineage_commit_curve_and_artifacts() -> None:
    message = runs.deliver(recorded(), ROOT)
    (run,) = all_runs()
    assert message == f"MLflow: run {run.info.run_id}, model helpdesk version 1, in sqlite:///mlflow.db"
    assert run.info.status == "FINISHED"
    assert run.data.params == {"train.rank": "16"}
    assert run.data.metrics["tuned.accuracy"] == 0.5
    assert run.data.tags[registry.LINEAGE] == "a" * 64
    assert run.data.tags["mlflow.source.git.commit"] == "c" * 40
    assert run.data.tags["tunegate.hardware.train"] == "a processor"
    curve = client().get_metric_history(run.info.run_id, "train.loss")
    assert [(point.step, point.value) for point in curve] == [(1, 3.5), (2, 2.5)]
    assert [point.step for point in client().get_metric_history(run.info.run_id, "train.valid_loss")] == [2]
    assert [item.path for item in client().list_artifacts(run.info.run_id)] == [
        "adapter",
        "report.html",
        "trajectory.csv",
    ]


def test_the_registered_version_is_the_adapter_alone() -> None:
    runs.deliver(recorded(), ROOT)
    from mlflow.artifacts import download_artifacts

    folder = Path(download_artifacts("models:/helpdesk@candidate", tracking_uri=store.tracking_uri()))
    assert sorted(path.name for path in folder.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]
    (version,) = versions()
    assert version.tags[registry.LINEAGE] == "a" * 64
    assert version.tags[registry.COMMIT] == "c" * 40
    assert version.run_id == all_runs()[0].info.run_id


def test_the_default_store_and_its_artifacts_lie_in_the_working_copy(tmp_path: Path) -> None:
    runs.deliver(recorded(), ROOT)
    assert (tmp_path / "mlflow.db").is_file()
    assert list((tmp_path / "mlruns").rglob("adapter_model.safetensors"))


def test_an_uploaded_record_shrinks_to_its_receipt() -> None:
    record = recorded()
    runs.deliver(record, ROOT)
    assert sorted(path.name for path in (ROOT / record.id).iterdir()) == ["receipt.json", "record.json"]
    (uploaded,) = read_records(ROOT)
    assert uploaded.receipt is not None
    assert (uploaded.receipt.version, uploaded.receipt.store) == ("1", "sqlite:///mlflow.db")


def test_a_dead_server_keeps_the_record_and_a_later_sync_uploads_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    uri = f"http://somebody:s3cret@127.0.0.1:{closed_port()}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    record = recorded()
    message = runs.deliver(record, ROOT)
    assert "MLflow cannot be reached" in message
    assert f"{ROOT / record.id}" in message
    assert "`tunegate runs sync`" in message
    assert "s3cret" not in message
    assert "\n" not in message
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert [uploaded.id for uploaded, _ in runs.sync(ROOT)] == [record.id]
    assert list(runs.sync(ROOT)) == []
    assert (len(all_runs()), len(versions())) == (1, 1)


def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{silent.getsockname()[1]}")
        store.connect()
        started = time.monotonic()
        message = runs.deliver(recorded(), ROOT, seconds=0.5)
    assert "no answer within 0.5 s" in message
    assert time.monotonic() - started < 5


def test_an_upload_killed_before_its_end_is_resumed_in_the_same_run() -> None:
    record = recorded()
    with store.store_errors(seconds=None):
        half = runs._create(client(), runs._experiment(client(), "helpdesk"), record)
        runs._log(client(), half.info.run_id, record, outbox.artifacts_of(record, ROOT))
    list(runs.sync(ROOT))
    (run,) = all_runs()
    assert (run.info.run_id, run.info.status) == (half.info.run_id, "FINISHED")
    assert len(client().get_metric_history(run.info.run_id, "train.loss")) == 2
    assert len(client().get_metric_history(run.info.run_id, "tuned.accuracy")) == 1


def test_a_kill_between_upload_and_receipt_makes_no_second_run() -> None:
    record = recorded()
    runs.deliver(record, ROOT)
    (ROOT / record.id / "receipt.json").unlink()
    recorded()
    assert len(list(runs.sync(ROOT))) == 1
    assert (len(all_runs()), len(versions())) == (1, 1)


def test_recording_the_same_model_at_the_same_commit_again_is_the_same_run() -> None:
    first, second = recorded(), recorded()
    assert first.id == second.id
    for record in (first, second):
        runs.deliver(record, ROOT)
    (run,) = all_runs()
    assert len(client().get_metric_history(run.info.run_id, "tuned.accuracy")) == 1


def test_the_same_model_at_another_commit_is_another_run_of_the_same_version() -> None:
    runs.deliver(recorded(), ROOT)
    runs.deliver(recorded(commit="d" * 40), ROOT)
    (version,) = versions()
    assert len(all_runs()) == 2
    assert version.tags[registry.COMMIT] == "d" * 40


def test_an_unversioned_run_is_recorded_as_such() -> None:
    runs.deliver(recorded(commit=UNVERSIONED), ROOT)
    assert all_runs()[0].info.run_name == f"unversioned {'a' * 8}"


def test_a_second_uploader_is_told_to_wait() -> None:
    record = recorded()
    with outbox.upload_lock(ROOT):
        assert "another process is uploading" in runs.deliver(record, ROOT)
        with pytest.raises(MachineError, match="another process is uploading"):
            list(runs.sync(ROOT))


def test_a_deleted_experiment_is_named_with_its_remedy() -> None:
    eid = client().create_experiment("helpdesk")
    client().delete_experiment(eid)
    recorded()
    with pytest.raises(MachineError, match="deleted in the store") as caught:
        list(runs.sync(ROOT))
    assert f"--experiment-id {eid}" in caught.value.remedy


def test_the_first_use_of_the_default_store_prints_nothing(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").unlink()
    recorded()
    code = (
        "from pathlib import Path; from tunegate.tracking import runs; "
        f"print(len(list(runs.sync(Path({str(ROOT)!r})))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert (done.stdout, done.stderr) == ("1\n", "")


@contextlib.contextmanager
def server(folder: Path) -> Iterator[str]:
    port = closed_port()
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{folder}/server.db", "--artifacts-destination", str(folder / "kept"),
    ]  # fmt: skip
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)
    try:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1):
                break
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def test_a_real_server_receives_run_version_and_adapter(
    tmp_path: Path, empty_store: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "server"
    folder.mkdir()
    (folder / "server.db").write_bytes(empty_store)
    with server(folder) as uri:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        message = runs.deliver(recorded(), ROOT)
        assert message.endswith(f"model helpdesk version 1, in {uri}")
        assert len(all_runs()) == 1
    assert list((folder / "kept").rglob("adapter_model.safetensors"))
