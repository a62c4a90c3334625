from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunegate.data.sources.declaration import load_sources
from tunegate.errors import TunegateError

Refusal = Callable[..., TunegateError]
ROOT = Path(__file__).resolve().parents[3]


def test_the_default_project_declares_both_languages_of_each_pair() -> None:
    sources = load_sources(ROOT / "data/sources.yaml")
    assert [(s.name, s.license, s.row.slices["language"].from_) for s in sources] == [
        ("faq-en", "CC-BY-4.0", "en"),
        ("faq-sv", "CC-BY-4.0", "sv"),
    ]


@pytest.mark.parametrize(
    ("change", "place", "problem"),
    [
        ({"pth": "x"}, "sources[0].pth", "did you mean 'path'"),
        ({"name": "My data"}, "sources[0].name", "My data"),
        ({"path": "data/raw/../x.csv"}, "sources[0].path", "without '..' (got 'data/raw/../x.csv')"),
        ({"path": "/etc/x.csv"}, "sources[0].path", "a relative path"),
        (
            {"path": "data/raw/x.xlsx"},
            "sources[0].path",
            "ends with .csv, .json, .jsonl, .parquet, or one of them and .gz",
        ),
        ({"row": {"text": "{q}"}}, "sources[0].row", "text and label together"),
        ({"row": {"text": "{q", "label": "x"}}, "sources[0].row.text", "expected '}'"),
        ({"row": {"text": "{q!r}", "label": "x"}}, "sources[0].row.text", "plain name"),
        ({"row": {"text": "{}", "label": "x"}}, "sources[0].row.text", "plain name"),
        ({"row": {"text": "q", "label": "x", "messages": "{m}"}}, "sources[0].row", "either messages, or text"),
        ({"row": {"messages": "m"}}, "sources[0].row.messages", "'{column}'"),
        ({"row": {"slice": {"a": "b"}}}, "sources[0].row.slice", "did you mean 'slices'"),
    ],
)
def test_a_fault_in_the_declaration_is_named_with_its_key(
    refusal: Refusal, change: dict[str, Any], place: str, problem: str
) -> None:
    error = refusal({"name": "mine", "path": "data/raw/x.csv"} | change)
    assert error.place.startswith(f"data/sources.yaml: {place}")
    assert problem in error.problem
    assert "docs/data.md" in error.remedy


def test_two_sources_of_one_name_are_refused(refusal: Refusal) -> None:
    error = refusal({"name": "a", "path": "data/raw/x.csv"}, {"name": "a", "path": "data/raw/y.csv"})
    assert (error.place, error.problem) == ("data/sources.yaml: sources[1].name", "the name 'a' is taken by sources[0]")
