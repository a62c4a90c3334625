import json
from collections.abc import Callable
from pathlib import Path

import pytest


def test_the_table_has_every_source_and_reason_and_closes(way: Path, run: Callable[..., str]) -> None:
    lines = run("tunegate", "data", "ledger", cwd=way).strip().split("\n")
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == [
        "source",
        "desks",
        "letters",
        "all",
        "the",
    ]
    assert "- ingest: over_limit" in lines[2]
    assert lines[2].endswith("not read")
    assert lines[-1].startswith("the sums close: 86 rows in = ")


@pytest.mark.parametrize(("by", "first"), [("source", "desks"), ("stage", "ingest"), ("reason", "ingest")])
def test_the_table_can_be_summed_up(way: Path, run: Callable[..., str], by: str, first: str) -> None:
    lines = run("tunegate", "data", "ledger", "--by", by, cwd=way).split("\n")
    assert (lines[0].split()[0], lines[1].split()[0]) == ("stage" if by == "reason" else by, first)


def test_programs_get_the_counts_that_the_report_has(way: Path, run: Callable[..., str]) -> None:
    told = json.loads(run("tunegate", "data", "ledger", "--json", cwd=way))
    assert told["rows"]["in"] == 86 == sum(fate["rows"] for fate in told["fates"])
    assert [stage["stage"] for stage in told["stages"]] == ["ingest", "validate", "prepare", "tokenize"]


def test_a_stage_that_has_not_run_is_named(way: Path, run: Callable[..., str]) -> None:
    (way / "data/tokens/ledger.json").unlink()
    said = run("tunegate", "data", "ledger", cwd=way, code=1)
    assert said.startswith("error: data/tokens/ledger.json: no such ledger\nfix: run `dvc repro tokenize`")


def test_stages_of_different_runs_are_refused(way: Path, run: Callable[..., str]) -> None:
    path = way / "data/prepared/ledger.json"
    ledger = json.loads(path.read_text())
    ledger["reasons"]["else"] = ledger["reasons"].pop("duplicate")
    ledger["per_source"]["desks"]["reasons"]["else"] = ledger["per_source"]["desks"]["reasons"].pop("duplicate")
    path.write_text(json.dumps(ledger))
    said = run("tunegate", "data", "ledger", cwd=way, code=1)
    assert "0 rows of desks are 'duplicate', but the fates in data/tokens have 1" in said
    assert "different runs" in said
