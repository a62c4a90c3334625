from pathlib import Path
from typing import Any

import pytest

from tunegate.errors import InputError
from tunegate.models.loading import load_tokenizer
from tunegate.models.tokens.chat_tokens import Recipe
from tunegate.models.tokens.examples import IGNORED, Example
from tunegate.models.tokens.formats.answers import Answers, Prompts

QUESTION = {"id": "a", "source": "desk", "messages": None, "text": "the roof leaks", "label": "roof", "slices": []}


@pytest.fixture
def tokenizer(tiny_model: Path) -> Any:
    return load_tokenizer(tiny_model)


def conversation(*turns: str, first: str = "user") -> dict[str, Any]:
    roles = ["user", "assistant"] if first == "user" else ["system", "user", "assistant"]
    names = [roles[0], *(roles[1:] * len(turns))] if first != "user" else roles * len(turns)
    messages = [{"role": role, "content": turn} for role, turn in zip(names, turns, strict=False)]
    return QUESTION | {"messages": messages, "text": None, "label": None}


def example_of(tokenizer: Any, row: dict[str, Any], **how: Any) -> Example:
    return next(Answers(**how)(Recipe.of(tokenizer), [row]))


def trained(tokenizer: Any, example: Example) -> str:
    return str(tokenizer.decode([label for label in example.labels if label != IGNORED]))


def test_every_answer_of_a_conversation_and_its_end_are_trained_on(tokenizer: Any) -> None:
    row = conversation("hello", "which room?", "room 3 <|im_end|>", "roof")
    example = example_of(tokenizer, row, turns="all")
    assert trained(tokenizer, example) == "which room?<|im_end|>roof<|im_end|>"
    assert all(label in (IGNORED, token) for token, label in zip(example.ids, example.labels, strict=True))
    last = example_of(tokenizer, row)
    assert tokenizer.decode(example.ids) == tokenizer.decode(last.ids)


def test_a_system_message_is_not_trained_on(tokenizer: Any) -> None:
    example = example_of(tokenizer, conversation("be brief", "hello", "hi", first="system"), turns="all")
    assert trained(tokenizer, example) == "hi<|im_end|>"


@pytest.mark.parametrize(
    "row", [QUESTION, conversation("å", "x<|im_end|>y"), conversation("s", "q", "a", first="system")]
)
def test_one_answer_has_the_same_tokens_however_many_turns_are_trained_on(tokenizer: Any, row: dict[str, Any]) -> None:
    assert example_of(tokenizer, row, turns="all") == example_of(tokenizer, row, turns="last")


def test_a_template_that_rewrites_earlier_turns_is_refused_by_name(tokenizer: Any) -> None:
    tokenizer.chat_template = (
        "{% for m in messages %}<|im_start|>{{ m.role }} "
        "{{ m.content if loop.last or m.role == 'user' else '' }}<|im_end|>{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant {% endif %}"
    )
    row = conversation("hello", "<think>", "room 3", "roof")
    assert trained(tokenizer, example_of(tokenizer, row)) == "roof<|im_end|>"
    with pytest.raises(InputError, match="the first 3 turns does not start with") as caught:
        example_of(tokenizer, row, turns="all")
    assert caught.value.place == "row a: chat_template.jinja"
    assert "tokenize.turns to last" in caught.value.remedy


def test_a_question_without_an_answer_is_a_prompt_or_refused(tokenizer: Any) -> None:
    row = QUESTION | {"label": None}
    example = example_of(tokenizer, row, unanswered=True)
    assert tokenizer.decode(example.ids) == "<|im_start|>user\nthe roof leaks<|im_end|>\n<|im_start|>assistant\n"
    assert set(example.labels) == {IGNORED}
    whole = example_of(tokenizer, QUESTION)
    assert whole.ids[: len(example.ids)] == example.ids
    with pytest.raises(InputError, match="neither messages nor a label") as caught:
        example_of(tokenizer, row)
    assert caught.value.place == "row a"


def test_labelled_and_unlabelled_rows_keep_their_order(tokenizer: Any) -> None:
    rows = [QUESTION | {"id": str(n), "label": None if n % 3 else "roof"} for n in range(7)]
    examples = list(Answers(unanswered=True, with_tasks=True)(Recipe.of(tokenizer), rows))
    assert [example.id for example in examples] == [str(n) for n in range(7)]
    assert [example.prompt < len(example.ids) for example in examples] == [n % 3 == 0 for n in range(7)]
    assert all(example.tasks == {"source": "desk"} for example in examples)


PROMPT = {
    "id": "a",
    "source": "s",
    "slices": [("language", "en")],
    "messages": None,
    "text": "it leaks",
    "label": "roof",
}
TALK = [{"role": "user", "content": "it leaks"}, {"role": "assistant", "content": "which room?"}]


def test_a_prompt_ends_where_the_answer_begins_and_its_answer_is_the_target(tokenizer: Any) -> None:
    rows = [
        PROMPT,
        PROMPT | {"id": "b", "label": None},
        PROMPT | {"id": "c", "text": None, "label": None, "messages": TALK},
    ]
    examples = list(Prompts()(Recipe.of(tokenizer), rows))
    assert [example.id for example in examples] == ["a", "b", "c"]
    assert [example.target for example in examples] == ["roof", None, "which room?"]
    for example in examples:
        assert tokenizer.decode(example.ids) == "<|im_start|>user\nit leaks<|im_end|>\n<|im_start|>assistant\n"
        assert set(example.labels) == {IGNORED}
        assert example.prompt == len(example.ids)
        assert example.tasks == {"language": "en", "source": "s"}
