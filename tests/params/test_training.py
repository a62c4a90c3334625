import re
from pathlib import Path
from typing import Any, get_args

import pytest

from tunegate.errors import InputError
from tunegate.files import parse_yaml
from tunegate.params import Params, Technique, Train, parse

PAGE = (Path(__file__).resolve().parents[2] / "docs/training.md").read_text(encoding="utf-8")
BLOCKS = [
    (section.split("\n")[0], text)
    for section in re.split(r"(?m)^## ", PAGE)[1:]
    for text in re.findall(r"(?ms)^```yaml\n(.*?)^```$", section)
    if set(parse_yaml(text, place="docs/training.md"))
    & {field.alias or name for name, field in Params.model_fields.items()}
]
SECTIONS = {field.alias or name: field.annotation for name, field in Params.model_fields.items()}


def sections(text: str) -> dict[str, Any]:
    place = "docs/training.md"
    values = parse_yaml(text, place=place)
    return {name: parse(SECTIONS[name], value, place=place, remedy="") for name, value in values.items()}  # type: ignore[type-var]


@pytest.mark.parametrize(
    ("heading", "text"), BLOCKS, ids=[f"{number} {block[0]}" for number, block in enumerate(BLOCKS)]
)
def test_the_page_s_examples_are_valid_parameters(heading: str, text: str) -> None:
    found = sections(text)
    if heading in get_args(Technique):
        assert found.get("train", Train()).technique == heading


def test_every_technique_has_an_example_on_the_page() -> None:
    assert set(get_args(Technique)) <= {heading for heading, _ in BLOCKS}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"adapter": "head"}, "technique sft has no head"),
        ({"adapter": "full", "rank": 8}, "without rank"),
        ({"technique": "fewshot", "tokens_per_batch": 64}, "without tokens_per_batch: technique fewshot takes"),
        ({"tokens_per_step": 64, "tokens_per_batch": 65}, "tokens_per_batch of at most tokens_per_step"),
        ({"technique": "classify", "adapter": "head", "activation_checkpointing": True}, "false with adapter head"),
        ({"target_modules": []}, "target_modules with one name at least"),
        ({"target_modules": ""}, "target_modules with one name at least"),
        ({"technique": "sft", "distill": {"temperature": 2.0}}, "without the section distill"),
    ],
)
def test_settings_without_effect_are_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        parse(Train, values, place="params.yaml", remedy="")
