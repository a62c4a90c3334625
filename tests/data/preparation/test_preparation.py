"""Of the package as a whole: the examples of docs/prepare.md, run, and its table of reasons."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tunegate.data.rows import Row
from tunegate.params import Mix

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs/prepare.md").read_text(encoding="utf-8")
SECTIONS = {part.split("\n")[0]: part for part in re.split(r"(?m)^## ", PAGE)[1:]}
EXAMPLES = {heading: dict(re.findall(r"(?ms)^```\w+ (\w+)\n(.*?)^```$", part)) for heading, part in SECTIONS.items()}
WITH_ROWS = [heading for heading, example in EXAMPLES.items() if "rows" in example]


def test_the_page_of_prepare_has_examples() -> None:
    assert len(WITH_ROWS) == 3


@pytest.mark.parametrize("heading", WITH_ROWS)
def test_an_example_of_prepare_gives_what_is_shown(heading: str, prepared: Callable[..., Any]) -> None:
    example = EXAMPLES[heading]
    params = dict(YAML(typ="safe").load(example["params"]))
    if "mixture" in params:
        params["mixture"] = {name: Mix(**values) for name, values in params["mixture"].items()}
    rows = [
        Row(**({"group": values["id"], "source": "s", "place": "f.csv:1"} | values))
        for values in json.loads(example["rows"])
    ]
    outcome = prepared(rows, **params)
    found = [
        {"id": name, "reason": reason, "other": other, "similarity": similarity}
        for name, (reason, other, similarity) in outcome.dropped.items()
    ]
    shown = json.loads(example["dropped"])
    assert [{key: row[key] for key in wanted} for wanted, row in zip(shown, found, strict=True)] == shown
    if "kept" in example:
        wanted = json.loads(example["kept"])
        kept = outcome.splits["train"]
        assert [{key: getattr(row, key) for key in one} for one, row in zip(wanted, kept, strict=True)] == wanted
    if "changes" in example:
        assert outcome.changes == {row["id"]: row["changes"] for row in json.loads(example["changes"])}


def test_every_reason_of_prepare_is_explained() -> None:
    code = "".join(path.read_text() for path in (ROOT / "src/tunegate/data/preparation").glob("*.py"))
    alone = "empty_after_repair|secret|personal_data|too_short|too_long|repetitive|duplicate|near_duplicate"
    found = set(re.findall(rf"[\"']({alone}|rejected_is_chosen)[\"']", code))
    found |= set(re.findall(r"[\"'](over_\w+|not_in_\w+)[\"']", code))
    found |= {f"{reason}test" for reason in re.findall(r"[\"'](question_\w+_)\{winner\}", code)}
    assert len(found) == 14
    table = SECTIONS["Why a row is left out"]
    assert {reason for reason in found if f"`{reason}`" in table} == found
