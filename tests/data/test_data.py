"""Of the package as a whole: the examples of docs/data.md, run."""

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from tunegate.data.sources import streams
from tunegate.data.sources.declaration import COMPRESSIONS, FORMATS, load_sources
from tunegate.data.sources.ingest import ingest
from tunegate.data.sources.json_text import MAX_DEPTH
from tunegate.errors import InputError
from tunegate.files import write_text
from tunegate.params.training import Technique
from tunegate.tables import read_parquet

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/data.md").read_text(encoding="utf-8")
Example = dict[str, str]


def examples(page: str) -> dict[str, Example]:
    """Heading to its named blocks, a block's name being the file that it is, or what it shows."""
    sections = re.split(r"(?m)^## ", page)[1:]
    blocks_by_heading = {
        section.split("\n")[0]: re.findall(r"(?ms)^```\w+ (\S+)\n(.*?)^```$", section) for section in sections
    }
    return {heading: dict(blocks) for heading, blocks in blocks_by_heading.items()}


EXAMPLES = examples(PAGE)
BECOMING_ROWS = [heading for heading, example in EXAMPLES.items() if "rows" in example]
REFUSED = [heading for heading, example in EXAMPLES.items() if "refusal" in example]


def put(example: Example, folder: Path) -> None:
    for name, text in example.items():
        if "/" in name:
            write_text(folder / name, text)


def read(example: Example, folder: Path) -> list[dict[str, Any]]:
    put(example, folder)
    rows, lock = folder / "rows.parquet", ROOT / "requirements/pipeline.txt"
    ingest(Path("data/sources.yaml"), Path("data/raw"), lock, rows, memory=2**28)
    return list(read_parquet(rows).to_pylist())


def test_the_page_has_examples_for_each_way_to_bring_data() -> None:
    assert len(BECOMING_ROWS) == 10
    assert len(REFUSED) == 2


@pytest.mark.parametrize("heading", BECOMING_ROWS)
def test_an_example_becomes_the_rows_shown(heading: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shown = json.loads(EXAMPLES[heading]["rows"])
    assert shown
    for expected, row in zip(shown, read(EXAMPLES[heading], tmp_path), strict=False):
        assert expected == {key: dict(row[key]) if key == "slices" else row[key] for key in expected}


@pytest.mark.parametrize("heading", REFUSED)
def test_an_example_is_refused_as_shown(heading: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        read(EXAMPLES[heading], tmp_path)
    assert load_sources(Path("data/sources.yaml"))
    assert f"{caught.value}\n" == EXAMPLES[heading]["refusal"]


def test_the_page_names_every_suffix_and_the_limits_that_the_code_has() -> None:
    for suffix in (*FORMATS, *COMPRESSIONS):
        assert f"{suffix}`" in PAGE
    assert f"| a line or record | {streams.MAX_RECORD:,} characters |" in PAGE
    assert f"| {streams.MAX_RATIO} times its size, or {streams.HARMLESS // 2**20} MiB if that is more |" in PAGE
    assert f"| nesting of JSON | {MAX_DEPTH} |" in PAGE


def test_the_page_says_what_rows_each_technique_has() -> None:
    table = PAGE.split("## Rows for each technique")[1].split("\n## ")[0]
    assert re.findall(r"(?m)^\| `(\w+)` \|", table) == list(get_args(Technique))
