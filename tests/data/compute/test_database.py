from pathlib import Path

import pyarrow as pa
import pytest

from tunegate.data.compute.database import LEAST, MEMORY_VARIABLE, add, batches, budget, connect, parsed
from tunegate.errors import InputError
from tunegate.params import Compute

MB = 2**20


def test_what_does_not_fit_into_memory_is_sorted_on_the_disk(tmp_path: Path) -> None:
    with connect(tmp_path / "work", 64 * MB) as connection:
        connection.execute(
            "CREATE TABLE big AS SELECT range AS n, repeat(md5(range::VARCHAR), 8) AS t FROM range(400_000)"
        )
        largest = 0
        for batch in batches(connection, "SELECT n FROM big ORDER BY t, n"):
            largest = max(largest, *batch["n"].to_pylist())
        assert largest == 399_999
    assert sum(path.stat().st_size for path in (tmp_path / "work").rglob("*")) > 32 * MB


def test_a_work_database_begins_empty(tmp_path: Path) -> None:
    for _ in range(2):
        with connect(tmp_path, 64 * MB) as connection:
            assert connection.execute("SELECT count(*) FROM duckdb_tables()").fetchall() == [(0,)]
            connection.execute("CREATE TABLE t (n INTEGER)")


def test_rows_are_added_by_the_names_of_their_columns(tmp_path: Path) -> None:
    with connect(tmp_path, 64 * MB) as connection:
        add(connection, "t", pa.table({"a": [1], "b": ["x"]}))
        add(connection, "t", pa.table({"b": ["y"], "a": [2]}))
        assert connection.execute("SELECT * FROM t ORDER BY a").fetchall() == [(1, "x"), (2, "y")]


def test_the_environment_overrides_params_and_params_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(MEMORY_VARIABLE, raising=False)
    assert budget(Compute()) > 100 * MB
    assert budget(Compute(memory="512MB")) == 512 * MB
    monkeypatch.setenv(MEMORY_VARIABLE, "2GB")
    assert budget(Compute(memory="512MB")) == 2048 * MB


@pytest.mark.parametrize("text", ["512", "0MB", "1.5GB", "4 GB", "4gb", "MB"])
def test_another_way_to_write_a_size_is_refused(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parsed(text, "here")
    assert (caught.value.place, caught.value.remedy) == ("here", "write it as 512MB or 4GB")


def test_less_memory_than_a_database_can_spill_from_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEGATE_MEMORY", "1MB")
    with pytest.raises(InputError, match="too little memory: 1MB") as caught:
        budget(Compute())
    assert caught.value.place == "TUNEGATE_MEMORY"
    monkeypatch.delenv("TUNEGATE_MEMORY")
    with pytest.raises(InputError) as caught:
        budget(Compute(memory="63MB"))
    assert (caught.value.place, caught.value.remedy) == ("params.yaml: compute.memory", "give it at least 64MB")
    assert budget(Compute(memory="64MB")) == LEAST
