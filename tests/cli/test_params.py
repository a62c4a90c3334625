from pathlib import Path

import pytest

from tunegate.cli.params import DOCS, docs, rendered
from tunegate.errors import RefusedError
from tunegate.files import write_text
from tunegate.params import Params


def rows_of(section: str) -> dict[str, list[str]]:
    """Key to its type, default and range, as the page has them."""
    text = rendered().split(f"\n## {section}\n")[1].split("\n## ")[0]
    cells = [line.replace("&lt;", "<").split(" | ") for line in text.splitlines() if line.startswith("| `")]
    return {key.removeprefix("| ").strip("`"): rest[:3] for key, *rest in cells}


@pytest.mark.parametrize(
    ("section", "key", "cells"),
    [
        ("train", "rank", ["whole number", "`16`", "≥ 1"]),
        ("train", "learning_rate", ["number", "`0.002`", "> 0, ≤ 1"]),
        ("train", "dropout", ["number", "`0.0`", "≥ 0, < 1"]),
        ("train", "ema", ["number or `null`", "`null`", "> 0, < 1"]),
        ("train", "target_modules", ["text or list of text", '`"all-linear"`', ""]),
        ("train", "classify.multi_label", ["true or false", "`false`", ""]),
        ("base", "dtype", ["`float32` or `bfloat16`", '`"float32"`', ""]),
        ("prepare", "mixture.*.cap", ["whole number or `null`", "`null`", "≥ 1"]),
        ("prepare", "split_key", ["text", '`"permit-helpdesk"`', "length ≥ 1"]),
    ],
)
def test_a_key_has_its_type_default_and_range(section: str, key: str, cells: list[str]) -> None:
    assert rows_of(section)[key] == cells


def test_sections_have_the_names_of_the_file_and_stand_in_its_order() -> None:
    headings = [line.removeprefix("## ") for line in rendered().splitlines() if line.startswith("## ")]
    assert headings == [field.alias or name for name, field in Params.model_fields.items()]
    assert "validate" in headings


def test_a_page_that_is_missing_or_edited_is_refused_until_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for text in (None, rendered() + "\n"):
        if text:
            write_text(DOCS, text)
        with pytest.raises(RefusedError) as caught:
            docs(check=True)
        assert (caught.value.place, "tunegate params docs" in caught.value.remedy) == (str(DOCS), True)
    docs(check=False)
    docs(check=True)
