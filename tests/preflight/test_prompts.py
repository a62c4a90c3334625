import dataclasses
from pathlib import Path
from typing import Any

import pytest

from tunegate.models.loading import load_base, load_tokenizer
from tunegate.models.tokens.chat_tokens import Recipe
from tunegate.models.tokens.examples import Example
from tunegate.models.tokens.formats.answers import Answers
from tunegate.preflight.findings import Finding
from tunegate.preflight.prompts import template_checked, vocabulary_checked

ROWS = [
    {"id": str(n), "messages": None, "text": f"the roof leaks {n}", "label": label, "slices": [], "source": "made"}
    for n, label in enumerate(("roof", "heat", "noise"))
]


@pytest.fixture
def tokenizer(tiny_model: Path) -> Any:
    return load_tokenizer(tiny_model)


@pytest.fixture
def examples(tokenizer: Any) -> list[Example]:
    return list(Answers()(Recipe.of(tokenizer), ROWS))


def checked(tiny_model: Path, tokenizer: Any, examples: list[Example]) -> dict[str, Finding]:
    model = load_base(tiny_model, device="cpu", precision="fp32")
    findings = [*template_checked(tokenizer, ROWS, examples), vocabulary_checked(tokenizer, model, examples)]
    return {finding.check: finding for finding in findings}


def test_what_was_trained_is_what_is_asked_and_ends_where_generation_stops(
    tiny_model: Path, tokenizer: Any, examples: list[Example]
) -> None:
    found = checked(tiny_model, tokenizer, examples)
    assert set(found) == {"prompt", "round trip", "stop token", "vocabulary"}
    assert {finding.status for finding in found.values()} == {"ok"}


def test_a_prompt_of_other_tokens_is_refused(tiny_model: Path, tokenizer: Any, examples: list[Example]) -> None:
    first = examples[0]
    other = dataclasses.replace(first, ids=[9, *first.ids], labels=[-100, *first.labels])
    found = checked(tiny_model, tokenizer, [other, *examples[1:]])["prompt"]
    assert (found.status, found.found) == (
        "refused",
        "2 of 3 prompts are the same tokens in training and in serving; not 0",
    )


def test_an_answer_that_never_ends_is_refused(tiny_model: Path, tokenizer: Any, examples: list[Example]) -> None:
    cut = dataclasses.replace(examples[0], ids=examples[0].ids[:-1], labels=examples[0].labels[:-1])
    assert checked(tiny_model, tokenizer, [cut, *examples[1:]])["stop token"].status == "refused"


def test_an_answer_that_does_not_come_back_is_worth_a_look(
    tiny_model: Path, tokenizer: Any, examples: list[Example]
) -> None:
    first = examples[0]
    other = dataclasses.replace(first, ids=[*first.ids[: first.prompt], first.ids[-1]])
    found = checked(tiny_model, tokenizer, [other, *examples[1:]])["round trip"]
    assert found.status == "warning"
    assert "'roof' comes back as ''" in found.found


def test_a_tokenizer_of_another_model_is_refused(tiny_model: Path, tokenizer: Any, examples: list[Example]) -> None:
    tokenizer.add_tokens([f"<extra {n}>" for n in range(100)])
    assert checked(tiny_model, tokenizer, examples)["vocabulary"].status == "refused"
