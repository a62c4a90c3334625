"""Of the package as a whole: the examples of docs/checks.md, run."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunegate.data.checks.suites import load_suite
from tunegate.errors import RefusedError
from tunegate.files import read_json, write_text, write_yaml
from tunegate.stages import ingest as ingest_stage
from tunegate.stages import validate as validate_stage
from tunegate.tables import read_parquet

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs/checks.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"(?ms)^```\w+ ([^\n]+)\n(.*?)^```$", PAGE))
Validate = Callable[..., None]


@pytest.fixture
def validate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Validate:
    """`validate("desks", "csv", suite="questions", more="")`: the stage over a source of the page, with lines more."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "models/templates", "models/templates")
    for name, text in BLOCKS.items():
        if "/" in name:
            write_text(tmp_path / name, text)
    write_text(Path("lock.txt"), "")

    def run(source: str, kind: str, suite: str, more: str = "") -> None:
        path = Path(f"data/raw/{source}.{kind}")
        write_text(path, path.read_text() + more)
        write_yaml(Path("data/sources.yaml"), {"sources": [{"name": source, "path": str(path)}]})
        params = (ROOT / "params.yaml").read_text().replace("max_quarantined_share: 0.05", "max_quarantined_share: 0.9")
        write_text(Path("params.yaml"), params.replace("suite: questions", f"suite: {suite}"))
        ingest_stage.main("params.yaml", "data/sources.yaml", "data/raw", "lock.txt", "data/ingested")
        folders = ("data/expectations", "models/templates", "data/validated")
        validate_stage.main("params.yaml", "data/ingested", *folders)

    return run


def quarantined() -> list[dict[str, Any]]:
    return read_parquet(Path("data/validated/quarantine.parquet")).to_pylist()


def test_the_page_has_an_example_of_each_thing_that_can_follow() -> None:
    assert {"quarantine", "result", "too many", "refusal", "chats quarantine"} <= set(BLOCKS)


@pytest.mark.parametrize("name", [name for name in BLOCKS if name.startswith("data/expectations/")])
def test_every_suite_that_is_shown_is_sound(name: str, tmp_path: Path) -> None:
    write_text(tmp_path / name, BLOCKS[name])
    assert load_suite((tmp_path / name).parent, Path(name).stem).expectations


def test_quarantine_and_result_are_what_is_shown(validate: Validate) -> None:
    validate("desks", "csv", "questions")
    (shown,) = json.loads(BLOCKS["quarantine"])
    (row,) = quarantined()
    assert {key: row[key] for key in shown} == shown
    result = json.loads(BLOCKS["result"])
    (found,) = [one for one in read_json(Path("data/validated/result.json"))["expectations"] if not one["success"]]
    assert {key: found[key] for key in result} == result


@pytest.mark.parametrize(("lines", "said"), [("more", "too many"), ("other", "refusal")])
def test_what_stops_the_pipeline_is_said_as_shown(validate: Validate, lines: str, said: str) -> None:
    with pytest.raises(RefusedError) as caught:
        validate("desks", "csv", "questions", more=BLOCKS[lines])
    assert f"{caught.value}\n" == BLOCKS[said]
    assert not Path("data/validated").exists()


def test_rows_that_a_condition_does_not_choose_are_not_judged(validate: Validate) -> None:
    validate("desks", "csv", "mail")
    assert quarantined() == []


def test_broken_conversations_go_where_is_shown(validate: Validate) -> None:
    validate("chats", "jsonl", "chats")
    shown = json.loads(BLOCKS["chats quarantine"])
    assert [{key: row[key] for key in ("id", "reasons")} for row in quarantined()] == shown


def test_the_page_names_every_column_that_there_is() -> None:
    from tunegate.data.checks.columns import FIXED

    for column in (*FIXED, "slices.<name>"):
        assert f"`{column}`" in PAGE
