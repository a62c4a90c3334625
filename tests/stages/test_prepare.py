import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tunegate.data.preparation.frozen_test_set import freeze
from tunegate.data.rows import PLACED_ROW, ROW, Row, table_of
from tunegate.files import read_json, sha256_of_tree, write_text
from tunegate.tables import read_parquet, write_parquet

Stage = Callable[..., tuple[int, str]]
ARGUMENTS = ("params.yaml", "data/validated", "data/frozen", "data/prepared")
SPLITS = ("train", "valid", "test")


def give(count: int, *, labels: int = 2) -> None:
    rows = [
        Row(
            id=f"r{n}",
            group=f"g{n}",
            source="s",
            place="p",
            text=f"What is wrong with the {n} doors of house {n * 7}?",
            label=f"l{n % labels}",
        )
        for n in range(count)
    ]
    write_parquet(Path("data/validated/rows.parquet"), table_of(rows, PLACED_ROW))


def test_three_splits_and_a_ledger_are_written_the_same_every_time(project: Path, stage: Stage) -> None:
    give(100)
    assert stage("prepare", *ARGUMENTS)[0] == 0
    output = Path("data/prepared")
    tables = {path.stem: read_parquet(path) for path in output.glob("*.parquet")}
    assert sorted(tables) == ["changes", "dropped", "test", "train", "valid"]
    assert all(tables[name].schema.equals(ROW) for name in SPLITS)
    assert sum(tables[name].num_rows for name in SPLITS) == read_json(output / "ledger.json")["rows"]["out"] == 100
    names = sorted(path.name for path in output.iterdir())
    assert names == sorted([*(f"{name}.parquet" for name in tables), "label_issues.json", "ledger.json"])
    before = sha256_of_tree(output)
    assert stage("prepare", *ARGUMENTS)[0] == 0
    assert sha256_of_tree(output) == before


def test_a_class_with_one_row_ends_the_stage_and_leaves_nothing(project: Path, stage: Stage) -> None:
    give(5, labels=4)
    code, said = stage("prepare", *ARGUMENTS)
    assert code == 1
    assert said.startswith(
        "error: params.yaml: prepare.min_rows_per_label: 3 of 4 labels have fewer than 2 rows: 'l1' (1)"
    )
    assert "\nfix: add rows, merge the label" in said
    assert sorted(path.name for path in Path("data").iterdir()) == ["expectations", "raw", "sources.yaml", "validated"]


def test_an_empty_split_ends_the_stage(project: Path, stage: Stage) -> None:
    give(2, labels=1)
    code, said = stage("prepare", *ARGUMENTS)
    assert code == 1
    assert "split is empty: 2 groups" in said


def test_the_pinned_test_set_is_the_test_split(project: Path, stage: Stage) -> None:
    give(100)
    assert stage("prepare", *ARGUMENTS)[0] == 0
    before = read_parquet(Path("data/prepared/test.parquet"))
    _, sha256 = freeze(before.to_batches(), Path("data/frozen"))
    params = Path("params.yaml").read_text()
    write_text(Path("params.yaml"), params.replace("test_set: null", f"test_set: {sha256}"))
    give(300)
    told = stage("prepare", *ARGUMENTS)
    assert told[0] == 0, told[1]
    assert read_parquet(Path("data/prepared/test.parquet")).equals(before)
    write_text(Path("data/frozen/test.json"), "{}\n")
    code, told = stage("prepare", *ARGUMENTS)
    assert code == 1
    assert told.startswith(f"error: params.yaml: prepare.test_set: {sha256} is not the sha256 of data/frozen/test.json")


def test_a_stage_takes_little_memory_when_told_to(project: Path, stage: Stage) -> None:
    give(100)
    assert stage("--memory", "64MB", "prepare", *ARGUMENTS)[0] == 0


def test_cut_rows_of_the_stage_before_are_named(project: Path, stage: Stage) -> None:
    write_text(Path("data/validated/rows.parquet"), "PAR1 half of it")
    code, said = stage("prepare", *ARGUMENTS)
    assert code == 1
    assert said.startswith("error: data/validated/rows.parquet: not a complete Parquet file")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_stage_and_leaves_nothing(
    project: Path, interrupted: Stage, number: signal.Signals, code: int
) -> None:
    give(20_000)
    assert interrupted(number, "prepare", *ARGUMENTS)[0] == code
    assert sorted(path.name for path in Path("data").iterdir()) == ["expectations", "raw", "sources.yaml", "validated"]
