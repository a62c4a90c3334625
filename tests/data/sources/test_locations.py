import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tunegate.data.sources.declaration import load_sources
from tunegate.data.sources.locations import locate
from tunegate.errors import TunegateError
from tunegate.files import write_text
from tunegate.tables import write_parquet

Refusal = Callable[..., TunegateError]
FAQ = {"name": "faq", "package": "zaragoza_construction_faq", "path": "data/faq.jsonl"}
ROOT = Path(__file__).resolve().parents[3]


def test_a_package_is_found_without_being_imported() -> None:
    source = load_sources(ROOT / "data/sources.yaml")[0]
    files = locate(source, ROOT / "data/sources.yaml", ROOT / "data/raw", ROOT / "requirements/pipeline.txt")
    assert [file.name for file in files] == ["zaragoza_construction_faq/data/faq-en.jsonl"]
    assert "zaragoza_construction_faq" not in sys.modules


def test_a_missing_file_is_named_with_the_nearest(raw: Path, refusal: Refusal) -> None:
    write_text(raw / "questions.csv", "text,label\na,b\n")
    error = refusal({"name": "mine", "path": "data/raw/question.csv"})
    assert error.place == "data/sources.yaml: mine.path"
    assert all(part in error.problem for part in ("data/raw/question.csv;", "did you mean 'data/raw/questions.csv'"))


def test_a_pattern_without_a_file_is_refused(refusal: Refusal) -> None:
    assert refusal({"name": "mine", "path": "data/raw/*.csv"}).problem == "no such file: data/raw/*.csv"


def test_a_file_that_dvc_does_not_watch_is_refused(refusal: Refusal) -> None:
    write_text(Path("data/x.csv"), "text,label\na,b\n")
    error = refusal({"name": "mine", "path": "data/x.csv"})
    assert error.problem == "must be below data/raw (got 'data/x.csv')"
    assert "DVC watches" in error.remedy


def test_a_package_that_is_not_installed_is_named(refusal: Refusal) -> None:
    error = refusal(FAQ | {"package": "no_such_package"})
    assert error.place == "data/sources.yaml: faq.package"
    assert error.problem == "the package 'no_such_package' is not installed"
    assert "tunegate keys" in error.remedy


@pytest.mark.parametrize(
    ("lock", "pinned"), [("other==1\n", "no version"), ("zaragoza-construction-faq==9.9\n", "9.9")]
)
def test_a_package_that_the_lock_does_not_pin_so_is_refused(refusal: Refusal, lock: str, pinned: str) -> None:
    write_text(Path("lock.txt"), lock)
    problem = refusal(FAQ).problem
    assert problem == f"zaragoza-construction-faq 1.2.1 is installed, but lock.txt pins {pinned}"


def test_a_module_that_no_distribution_owns_is_refused(
    refusal: Refusal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_text(tmp_path / "loose_data/x.csv", "text,label\na,b\n")
    write_text(tmp_path / "loose_data/__init__.py", "")
    monkeypatch.syspath_prepend(tmp_path)
    assert "no commit names its content" in refusal(FAQ | {"package": "loose_data", "path": "x.csv"}).problem


CRM = {"name": "crm", "rest": {"url": "https://crm.example.org/tickets", "key": "id"}}


def test_an_external_source_without_a_snapshot_must_be_refreshed(refusal: Refusal) -> None:
    error = refusal(CRM)
    assert (error.place, error.problem) == ("data/sources.yaml: crm", "no snapshot data/raw/crm.parquet")
    assert error.remedy == "run `tunegate data refresh crm`"


def test_a_snapshot_that_only_dvc_has_is_to_be_pulled(raw: Path, refusal: Refusal) -> None:
    write_text(raw / "crm.parquet.dvc", "outs: []\n")
    assert refusal(CRM).remedy.startswith("run `dvc pull data/raw/crm.parquet`")


def test_a_pattern_does_not_read_the_snapshot_of_another_source(raw: Path, refusal: Refusal) -> None:
    write_parquet(raw / "crm.parquet", pa.table({"text": ["a?"], "label": ["x"]}))
    error = refusal(CRM, {"name": "all", "path": "data/raw/*.parquet"})
    assert error.place == "data/sources.yaml: all.path"
    assert error.problem == "data/raw/crm.parquet is the snapshot of the source 'crm'"


def test_a_pattern_does_not_read_the_record_of_a_snapshot(raw: Path, read: Callable[..., Any]) -> None:
    write_text(raw / "mine.json", '[{"text": "a?", "label": "x"}]')
    write_text(raw / "crm.snapshot.json", '[{"text": "b?", "label": "x"}]')
    assert [row.text for row in read({"name": "mine", "path": "data/raw/*.json"}).rows] == ["a?"]
