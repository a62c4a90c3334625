from collections.abc import Callable
from pathlib import Path

from tunegate.data.rows import PLACED_ROW, Row, table_of
from tunegate.files import write_text
from tunegate.tables import write_parquet

ROOT = Path(__file__).resolve().parents[3]
Run = Callable[..., str]


def test_data_docs_are_written_and_their_page_is_named(run: Run, tmp_path: Path) -> None:
    for name in ("params.yaml", "data/expectations/questions.json"):
        write_text(tmp_path / name, (ROOT / name).read_text())
    rows = [Row(id=n, group=n, source="s", place=f"f.csv:{n}", text=f"What of {n}?", label=n) for n in "12"]
    write_parquet(tmp_path / "data/ingested/rows.parquet", table_of(rows, PLACED_ROW))
    said = run("tunegate", "data", "docs", cwd=tmp_path)
    assert said == "reports/data-docs/index.html\n"
    assert "questions" in (tmp_path / said.strip()).read_text()
    assert [path.name for path in (tmp_path / "reports").iterdir()] == ["data-docs"]


def test_without_ingested_rows_the_remedy_is_said(run: Run, tmp_path: Path) -> None:
    for name in ("params.yaml", "data/expectations/questions.json"):
        write_text(tmp_path / name, (ROOT / name).read_text())
    said = run("tunegate", "data", "docs", cwd=tmp_path, code=1)
    assert said == "error: data/ingested/rows.parquet: no such file\nfix: run `dvc repro`, or `dvc pull`\n"
    assert not (tmp_path / "reports").exists()


def test_help_shows_an_example(run: Run, tmp_path: Path) -> None:
    assert "Example: tunegate data docs" in run("tunegate", "data", "docs", "--help", cwd=tmp_path)
