from collections.abc import Iterator
from pathlib import Path

import pytest
from miniature import Miniature

from tunegate.data.diff.sides import EXPECTATIONS, INGESTED, NOTHING, PREPARED, SOURCES, Side, side_of
from tunegate.errors import InputError
from tunegate.files import write_json, write_text, write_yaml
from tunegate.repository.outputs import Outputs, open_outputs
from tunegate.repository.revisions import open_repository
from tunegate.repository.snapshot import Snapshot

SUITE = {
    "expectations": [
        {"type": "not_null", "kwargs": {"column": "text"}, "severity": "warning"},
        {"type": "not_null", "kwargs": {"column": "text", "mostly": 0.9}},
        {"type": "unique", "kwargs": {"column_list": ["id", "group"]}},
        {"type": "row_count", "kwargs": {"min_value": 5}},
    ]
}


@pytest.fixture
def outputs(miniature: Miniature) -> Iterator[Outputs]:
    with open_outputs(miniature.root) as outputs:
        yield outputs


def commit(miniature: Miniature) -> None:
    miniature.git("add", "-A")
    miniature.git("commit", "-qm", "Declarations")


def side(miniature: Miniature, outputs: Outputs, revision: str | None = "HEAD") -> Side:
    repository = open_repository(miniature.root)
    return side_of(Snapshot(repository, revision and repository.resolve(revision), outputs))


def test_no_commit_is_a_side_with_nothing() -> None:
    assert side_of(None) is NOTHING
    assert (NOTHING.file(PREPARED, "train.parquet"), NOTHING.ledger(PREPARED)) == (None, {})


def test_a_side_offers_the_outputs_that_its_commit_locks(miniature: Miniature, outputs: Outputs) -> None:
    found = side(miniature, outputs)
    assert PREPARED in found.folders
    assert INGESTED not in found.folders, "this project's pipeline begins with prepared rows"
    assert len(found.hashes[PREPARED]) > 30
    assert found.file(PREPARED, "test.parquet")
    assert found.file(PREPARED, "no such file") is None
    assert found.file(INGESTED, "rows.parquet") is None


def test_a_declaration_is_that_of_the_commit_and_not_of_the_working_tree(
    miniature: Miniature, outputs: Outputs
) -> None:
    sources = [{"name": "desks", "license": "MIT"}, {"name": "letters"}, {"no": "name"}]
    write_yaml(miniature.root / SOURCES, {"sources": sources})
    commit(miniature)
    write_yaml(miniature.root / SOURCES, {"sources": [{"name": "desks", "license": "CC0-1.0"}]})
    assert side(miniature, outputs).licenses == {"desks": "MIT", "letters": None}
    assert side(miniature, outputs, None).licenses == {"desks": "CC0-1.0"}
    assert side(miniature, outputs).hashes[SOURCES] != side(miniature, outputs, None).hashes[SOURCES]


@pytest.mark.parametrize("committed", [True, False])
def test_expectations_are_named_by_type_and_column_and_equal_names_are_numbered(
    miniature: Miniature, outputs: Outputs, committed: bool
) -> None:
    write_json(miniature.root / EXPECTATIONS / "questions.json", SUITE)
    write_text(miniature.root / EXPECTATIONS / "notes.md", "not a suite")
    commit(miniature)
    assert side(miniature, outputs, "HEAD" if committed else None).suites["questions"] == {
        "not_null(text)": "warning",
        "not_null(text) #2": "critical; mostly 0.9",
        "unique(id, group)": "critical",
        "row_count": "critical; min_value 5",
    }
    assert "notes" not in side(miniature, outputs).suites


@pytest.mark.parametrize("text", ["- a list\n", "sources: none\n"])
def test_sources_that_are_not_a_list_are_an_error_at_their_commit(
    miniature: Miniature, outputs: Outputs, text: str
) -> None:
    write_text(miniature.root / SOURCES, text)
    commit(miniature)
    with pytest.raises(InputError) as caught:
        side(miniature, outputs)
    assert caught.value.place.endswith(f":{SOURCES}")


def test_a_ledger_is_read_from_its_output(tmp_path: Path) -> None:
    write_json(tmp_path / "ledger.json", {"stage": "prepare"})
    found = Side("x", {PREPARED: tmp_path}, {}, {}, {})
    assert (found.ledger(PREPARED), found.ledger(INGESTED)) == ({"stage": "prepare"}, {})
