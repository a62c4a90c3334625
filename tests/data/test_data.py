"""Of the package as a whole: the examples of docs/data.md, run."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tunegate.data.sources.ingest import ingest
from tunegate.errors import RefusedError
from tunegate.files import write_text
from tunegate.stages import ingest as ingest_stage
from tunegate.stages import validate as validate_stage
from tunegate.tables import read_parquet

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/data.md").read_text(encoding="utf-8")
Example = dict[str, str]


def examples(page: str) -> dict[str, Example]:
    """Heading to its named blocks, a block's name being the file that it is, or what it shows."""
    sections = re.split(r"(?m)^## ", page)[1:]
    found = {section.split("\n")[0]: re.findall(r"(?ms)^```\w+ (\S+)\n(.*?)^```$", section) for section in sections}
    return {heading: dict(blocks) for heading, blocks in found.items()}


EXAMPLES = examples(PAGE)
BECOMING_ROWS = [heading for heading, example in EXAMPLES.items() if "rows" in example]


def put(example: Example, folder: Path) -> None:
    for name, text in example.items():
        if "/" in name:
            write_text(folder / name, text)


def assert_shown(shown: list[dict[str, Any]], rows: list[dict[str, Any]]) -> None:
    assert shown
    for expected, row in zip(shown, rows, strict=False):
        assert expected == {key: dict(row[key]) if key == "slices" else row[key] for key in expected}


def test_the_page_has_examples_for_each_way_to_bring_data() -> None:
    assert len(BECOMING_ROWS) == 4
    assert {"data/expectations/questions.json", "quarantine", "refusal"} <= set(EXAMPLES["What must hold"])


@pytest.mark.parametrize("heading", BECOMING_ROWS)
def test_an_example_becomes_the_rows_shown(heading: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    put(EXAMPLES[heading], tmp_path)
    rows, lock = tmp_path / "rows.parquet", ROOT / "requirements/pipeline.txt"
    ingest(Path("data/sources.yaml"), Path("data/raw"), lock, rows, memory=2**28)
    assert_shown(json.loads(EXAMPLES[heading]["rows"]), read_parquet(rows).to_pylist())


@pytest.fixture
def checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with the suite of the page and the sources of its first example."""
    monkeypatch.chdir(tmp_path)
    put(EXAMPLES["What must hold"], tmp_path)
    write_text(tmp_path / "data/sources.yaml", EXAMPLES["A CSV of your own"]["data/sources.yaml"])
    params = (ROOT / "params.yaml").read_text().replace("max_quarantined_share: 0.05", "max_quarantined_share: 0.5")
    write_text(tmp_path / "params.yaml", params)
    write_text(tmp_path / "lock.txt", "")
    return tmp_path


def validate(*lines: str) -> None:
    write_text(Path("data/raw/desks.csv"), "\n".join(["id,text,label", *lines]) + "\n")
    ingest_stage.main("params.yaml", "data/sources.yaml", "data/raw", "lock.txt", "data/ingested")
    validate_stage.main("params.yaml", "data/ingested", "data/expectations", "data/validated")


def test_the_quarantine_is_what_is_shown(checked: Path) -> None:
    validate("1,The roof leaks,roof", "2,No warm water,heating", "3,Eh?,roof")
    rows = read_parquet(Path("data/validated/quarantine.parquet")).to_pylist()
    shown = json.loads(EXAMPLES["What must hold"]["quarantine"])
    assert len(rows) == len(shown)
    assert_shown(shown, rows)


def test_the_refusal_is_what_is_shown(checked: Path) -> None:
    with pytest.raises(RefusedError) as caught:
        validate("1,The roof leaks,roof", "2,The roof leaks more,rof", "3,No warm water,heating")
    assert f"{caught.value}\n" == EXAMPLES["What must hold"]["refusal"]


def test_every_reason_that_a_ledger_can_give_is_explained() -> None:
    code = "".join(path.read_text() for path in (ROOT / "src/tunegate/data").rglob("*.py"))
    reasons = set(re.findall(r'"(over_limit|empty_after_repair|duplicate)"', code))
    assert len(reasons) == 3
    for reason in [*sorted(reasons), "quarantine: ", "question_also_in_test"]:
        assert f"`{reason}" in PAGE
