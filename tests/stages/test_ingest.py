import signal
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from tunegate.data.rows import PLACED_ROW
from tunegate.files import read_json, sha256_of_tree, write_text
from tunegate.tables import read_parquet

Stage = Callable[..., tuple[int, str]]
ARGUMENTS = ("params.yaml", "data/sources.yaml", "data/raw", "lock.txt", "data/ingested")


def leftovers() -> list[str]:
    return sorted(
        path.name for path in Path("data").iterdir() if path.name not in ("raw", "sources.yaml", "expectations")
    )


def test_the_rows_and_their_ledger_are_written_the_same_every_time(project: Path, stage: Stage) -> None:
    assert stage("ingest", *ARGUMENTS) == (0, "ingest: 12 rows from 1 sources\n")
    table = read_parquet(Path("data/ingested/rows.parquet"))
    assert table.schema.equals(PLACED_ROW)
    assert read_json(Path("data/ingested/ledger.json"))["rows"] == {"in": 12, "out": 12}
    before = sha256_of_tree(Path("data/ingested"))
    assert stage("ingest", *ARGUMENTS)[0] == 0
    assert sha256_of_tree(Path("data/ingested")) == before
    assert leftovers() == ["ingested"]


@pytest.mark.parametrize(
    ("content", "place", "problem", "remedy"),
    [
        ("", "data/raw/mine.csv", "the file is empty", "restore it"),
        ("id,text,label\n1,a?,x\n1,b?,x\n", "data/raw/mine.csv:3", "duplicate id '1'", "make the ids unique"),
        ("text,label\na?,\n", "data/raw/mine.csv:2", "empty label", "complete this row"),
    ],
)
def test_a_bad_file_ends_the_stage_and_leaves_nothing(
    project: Path, stage: Stage, content: str, place: str, problem: str, remedy: str
) -> None:
    write_text(Path("data/raw/mine.csv"), content)
    code, said = stage("ingest", *ARGUMENTS)
    assert code == 1
    assert said.startswith(f"error: {place}: {problem}")
    assert f"\nfix: {remedy}" in said
    assert "Traceback" not in said
    assert leftovers() == []


def test_a_failure_keeps_the_rows_of_the_last_run(project: Path, stage: Stage) -> None:
    stage("ingest", *ARGUMENTS)
    before = sha256_of_tree(Path("data/ingested"))
    Path("data/raw/mine.csv").unlink()
    code, said = stage("ingest", *ARGUMENTS)
    assert (code, said.splitlines()[0]) == (1, "error: data/sources.yaml: mine.path: no such file: data/raw/mine.csv")
    assert sha256_of_tree(Path("data/ingested")) == before


def test_the_limit_is_obeyed(project: Path, stage: Stage) -> None:
    write_text(Path("params.yaml"), Path("params.yaml").read_text().replace("limit: null", "limit: 5"))
    assert stage("ingest", *ARGUMENTS) == (0, "ingest: 5 rows from 1 sources\n")
    assert read_json(Path("data/ingested/ledger.json"))["reasons"] == {"over_limit": 7}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_stage_and_leaves_nothing(
    project: Path, interrupted: Stage, number: signal.Signals, code: int
) -> None:
    write_text(Path("data/raw/mine.csv"), "text,label\n" + "".join(f"q{n}?,x\n" for n in range(40_000)))
    given, said = interrupted(number, "ingest", *ARGUMENTS)
    assert given == code
    assert "nothing half-written was kept" in said
    assert leftovers() == []


def test_a_full_disk_is_named_and_nothing_is_left(project: Path, stage: Stage, small_disk: Path) -> None:
    rows = "".join(f"{uuid.uuid4()} {uuid.uuid4()}?,x\n" for _ in range(3000))
    write_text(Path("data/raw/mine.csv"), "text,label\n" + rows)
    code, said = stage("ingest", *ARGUMENTS[:4], small_disk / "ingested")
    assert code == 1
    assert "no space left on the disk" in said
    assert "fix: free some space" in said
    assert list(small_disk.iterdir()) == []


def test_a_wrong_number_of_arguments_is_a_usage_error(project: Path, stage: Stage) -> None:
    assert stage("ingest", "params.yaml")[0] == 2
