from pathlib import Path
from typing import Any

import pytest

from tunegate.errors import InputError
from tunegate.models.loading import load_tokenizer
from tunegate.models.tokens.chat_tokens import Recipe
from tunegate.models.tokens.examples import IGNORED
from tunegate.models.tokens.formats.preferences import Preferences

ROW = {"id": "a", "source": "s", "messages": None, "text": "the roof leaks", "label": "roof", "rejected": "heat now"}
TALK = [
    {"role": "user", "content": "hello"},
    {"role": "assistant", "content": "which room?"},
    {"role": "user", "content": "3"},
    {"role": "assistant", "content": "roof"},
]


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> Any:
    return load_tokenizer(tiny_model)


def examples_of(tokenizer: Any, *rows: dict[str, Any]) -> Any:
    return list(Preferences()(Recipe.of(tokenizer), rows))


def test_both_answers_stand_after_the_same_prompt_each_with_its_end(tokenizer: Any) -> None:
    for row in (ROW, ROW | {"messages": TALK, "text": None, "label": None}):
        (example,) = examples_of(tokenizer, row)
        assert tokenizer.decode([label for label in example.labels if label != IGNORED]) == "roof<|im_end|>"
        assert tokenizer.decode(example.rejected) == "heat now<|im_end|>"
        assert tokenizer.decode(example.ids[: example.prompt]).endswith("<|im_start|>assistant\n")
        assert example.length == len(example.ids) + example.prompt + len(example.rejected)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"rejected": None}, "no rejected answer"),
        ({"label": None}, "no chosen answer"),
        ({"rejected": "roof"}, "the chosen and the rejected answer are the same"),
    ],
)
def test_a_row_that_prefers_nothing_is_refused_by_its_id(tokenizer: Any, changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(InputError, match=problem) as caught:
        examples_of(tokenizer, ROW, ROW | {"id": "b"} | changes)
    assert caught.value.place == "row b"


def test_with_padding_that_is_the_end_token_the_end_is_still_trained_on(tiny_model: Path) -> None:
    tokenizer = load_tokenizer(tiny_model)
    tokenizer.pad_token = tokenizer.eos_token
    (example,) = examples_of(tokenizer, ROW)
    assert example.labels[-1] == example.rejected[-1] == tokenizer.eos_token_id
