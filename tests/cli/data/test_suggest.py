from collections.abc import Callable
from pathlib import Path

import pytest

from tunegate.data.checks.suites import load_suite
from tunegate.data.rows import PLACED_ROW, Row, table_of
from tunegate.tables import write_parquet

Run = Callable[..., str]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    rows = [Row(id=str(n), group="g", source="s", place=f"f.csv:{n}", text=f"What of {n}?", label="x") for n in (1, 2)]
    write_parquet(tmp_path / "data/ingested/rows.parquet", table_of(rows, PLACED_ROW))
    return tmp_path


def test_a_suite_is_written_once_and_replaced_only_by_force(run: Run, project: Path) -> None:
    output = run("tunegate", "data", "suggest", cwd=project)
    path = project / "data/expectations/suggested.json"
    assert output.startswith("data/expectations/suggested.json: 8 expectations; edit them, then set validate.suite")
    assert len(load_suite(path.parent, "suggested").expectations) == 8
    path.write_text("edited")
    output = run("tunegate", "data", "suggest", cwd=project, code=2)
    assert output.startswith("error: --output data/expectations/suggested.json: is there already\nfix: ")
    assert path.read_text() == "edited"
    run("tunegate", "data", "suggest", "--force", cwd=project)
    assert len(load_suite(path.parent, "suggested").expectations) == 8


def test_a_suite_of_one_source_and_another_name(run: Run, project: Path) -> None:
    run("tunegate", "data", "suggest", "--source", "s", "--output", "mine.json", cwd=project)
    suite = load_suite(project, "mine")
    assert all(expectation.condition_columns == ["source"] for expectation in suite.expectations)
    output = run("tunegate", "data", "suggest", "--source", "S", "--output", "other.json", cwd=project, code=1)
    assert "no rows of source 'S'; did you mean 's'?" in output
    assert not (project / "other.json").exists()


def test_a_suite_that_is_no_json_file_is_a_usage_error(run: Run, project: Path) -> None:
    assert "must end with .json" in run("tunegate", "data", "suggest", "--output", "mine.yaml", cwd=project, code=2)


def test_help_shows_an_example_of_suggest(run: Run, tmp_path: Path) -> None:
    assert "Example: tunegate data suggest" in run("tunegate", "data", "suggest", "--help", cwd=tmp_path)
