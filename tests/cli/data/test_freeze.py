import json
from collections.abc import Callable
from pathlib import Path

from tunegate.data.rows import Row, table_of
from tunegate.files import read_json, sha256_of
from tunegate.tables import write_parquet

Run = Callable[..., str]


def test_the_test_split_is_written_down_and_its_hash_said(run: Run, tmp_path: Path) -> None:
    rows = [Row(id=n, group=f"g{n}", source="s", text=f"What of {n}?", label="x") for n in "12"]
    write_parquet(tmp_path / "data/prepared/test.parquet", table_of(rows))
    output = run("tunegate", "data", "freeze", cwd=tmp_path)
    file = tmp_path / "data/frozen/test.json"
    assert output.startswith("data/frozen/test.json: 2 rows.")
    assert f"test_set: {sha256_of(file)}\n" in output
    assert [(row["id"], row["group"]) for row in read_json(file)["rows"]] == [("1", "g1"), ("2", "g2")]
    told = json.loads(run("tunegate", "data", "freeze", "--json", cwd=tmp_path))
    assert told == {"file": "data/frozen/test.json", "rows": 2, "sha256": sha256_of(file)}


def test_without_prepared_rows_nothing_is_frozen(run: Run, tmp_path: Path) -> None:
    output = run("tunegate", "data", "freeze", cwd=tmp_path, code=1)
    assert output.startswith("error: data/prepared/test.parquet: no such file")
    assert not (tmp_path / "data").exists()


def test_help_of_freeze_shows_an_example(run: Run, tmp_path: Path) -> None:
    assert "Example: tunegate data freeze" in run("tunegate", "data", "freeze", "--help", cwd=tmp_path)
