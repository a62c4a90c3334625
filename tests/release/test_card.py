import re
from pathlib import Path
from typing import Any

import jinja2
import pytest

from tunegate.files import parse_yaml, read_yaml
from tunegate.models.manifest import AuxiliaryModelRecord
from tunegate.params import Params, parse
from tunegate.release.card import card
from tunegate.repository.lineage import Parts, lineage_of

VALUES = read_yaml(Path(__file__).resolve().parents[2] / "params.yaml")
LINEAGE = lineage_of(Parts(**dict.fromkeys(Parts.model_fields, "0" * 64)))
BASE = {"model": "tiny", "license": "MIT"}
METRICS = {"rows": 40, "base": {"nll": 2.0, "f1": None}, "tuned": {"nll": 0.123456, "f1": None}}


def made(auxiliary: dict[str, AuxiliaryModelRecord] | None = None, **sections: dict[str, Any]) -> str:
    params = parse(Params, VALUES | sections, place="params.yaml", remedy="")
    return card(params, LINEAGE, BASE, auxiliary or {}, METRICS)


@pytest.mark.parametrize(
    ("export", "library", "used"),
    [("q8_0", "peft", "`bentoml serve`"), ("safetensors", "transformers", "transformers loads this folder")],
)
def test_the_head_and_the_use_are_those_of_the_exported_form(export: str, library: str, used: str) -> None:
    text = made(package=VALUES["package"] | {"export": export})
    head = parse_yaml(text.split("---\n")[1], place="README.md")
    expected = {"license": "MIT", "base_model": "tiny", "library_name": library, "pipeline_tag": "text-generation"}
    assert head == expected
    assert used in text
    assert ("(`model.gguf`, q8_0)" in text) == (export == "q8_0")


def test_numbers_are_in_the_table_and_what_is_none_is_not() -> None:
    text = made()
    assert re.findall(r"(?m)^\| (nll|f1) .*$", text) == ["nll"]
    assert "| nll | 2.0000 | 0.1235 |" in text
    assert "On 40 test examples" in text
    assert f"Lineage key: `{LINEAGE.key}`" in text
    assert all(f"| {name} | `{'0' * 64}` |\n" in text for name in Parts.model_fields)


def test_a_rank_is_named_where_there_is_one() -> None:
    assert "adapter lora (rank 16).\n" in made()
    assert "adapter full.\n" in made(train={"technique": "sft", "adapter": "full"})


def test_the_models_that_it_learned_from_are_named_with_their_licences() -> None:
    records = {
        role: AuxiliaryModelRecord(name=f"large-{role}", license="Apache-2.0") for role in ("translator", "teacher")
    }
    lines = [line for line in made(records).splitlines() if line.startswith("Its ")]
    assert lines == [f"Its {role} was `large-{role}` (Apache-2.0)." for role in ("teacher", "translator")]


def test_a_fact_that_is_missing_is_an_error_and_no_gap() -> None:
    with pytest.raises(jinja2.UndefinedError, match="license"):
        card(parse(Params, VALUES, place="", remedy=""), LINEAGE, {"model": "tiny"}, {}, METRICS)
