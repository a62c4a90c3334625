from pathlib import Path
from typing import Any

import pytest

from tunegate.tracking import registry, store
from tunegate.tracking.outbox import Record


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_store: bytes) -> Any:
    """A client of an empty store in the working directory."""
    monkeypatch.chdir(tmp_path)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "mlflow.db").write_bytes(empty_store)
    return store.connect()


def record(minute: int, *, lineage: str = "a", adapter: str = "1", commit: str = "c") -> Record:
    return Record(
        name="helpdesk", commit=commit * 40, branch="main", dirty=False, lineage=lineage * 64, params={}, metrics={},
        id=f"{lineage}{adapter}{commit}", recorded_at=f"2026-01-01T00:{minute:02d}:00+00:00", adapter=adapter * 64,
    )  # fmt: skip


def register(client: Any, record: Record) -> str:
    run = client.create_run("0").info
    return registry.register(client, record, run_id=run.run_id, source=f"{run.artifact_uri}/adapter")


def versions(client: Any) -> list[Any]:
    return list(client.search_model_versions("name = 'helpdesk'"))


def candidate(client: Any) -> Any:
    return client.get_model_version_by_alias("helpdesk", registry.CANDIDATE)


def test_the_candidate_is_the_version_recorded_last_even_when_uploaded_first(client: Any) -> None:
    for one in (record(2, lineage="b"), record(1)):
        register(client, one)
    assert len(versions(client)) == 2
    assert candidate(client).tags[registry.LINEAGE] == "b" * 64


def test_one_lineage_with_other_weights_is_another_version(client: Any) -> None:
    assert [register(client, record(minute, adapter=str(minute))) for minute in (1, 2)] == ["1", "2"]
    assert len(versions(client)) == 2


def test_an_adapter_recorded_again_is_the_same_version_of_the_newer_commit(client: Any) -> None:
    assert {register(client, one) for one in (record(1), record(2, commit="d"))} == {"1"}
    (version,) = versions(client)
    assert version.tags[registry.COMMIT] == "d" * 40
    assert version.tags[registry.RECORDED_AT] == record(2).recorded_at


def test_an_older_record_moves_no_version_back_in_time(client: Any) -> None:
    for one in (record(3), record(2, lineage="b"), record(1)):
        register(client, one)
    assert candidate(client).tags[registry.LINEAGE] == "a" * 64
    assert candidate(client).tags[registry.RECORDED_AT] == record(3).recorded_at
