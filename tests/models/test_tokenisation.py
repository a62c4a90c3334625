from pathlib import Path
from typing import Any

import pytest

from tunegate.errors import InputError
from tunegate.models.loading import load_tokenizer
from tunegate.models.tokenisation import IGNORED, encode, encode_all

ROW = {"id": "a", "messages": None, "text": "the roof leaks", "label": "roof"}


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> Any:
    return load_tokenizer(tiny_model)


def test_only_the_answer_and_its_end_are_trained_on(tokenizer: Any) -> None:
    example = encode(tokenizer, ROW)
    trained = [token for token in example.labels if token != IGNORED]
    assert tokenizer.decode(trained) == "roof<|im_end|>"
    assert (
        tokenizer.decode(example.ids)
        == "<|im_start|>user\nthe roof leaks<|im_end|>\n<|im_start|>assistant\nroof<|im_end|>"
    )


def test_in_a_conversation_only_the_last_answer_is_trained_on(tokenizer: Any) -> None:
    turns = ["hello", "which room?", "room 3", "roof"]
    roles = ["user", "assistant"] * 2
    messages = [{"role": role, "content": turn} for role, turn in zip(roles, turns, strict=True)]
    example = encode(tokenizer, {"id": "a", "messages": messages})
    assert tokenizer.decode([token for token in example.labels if token != IGNORED]) == "roof<|im_end|>"


def test_a_template_that_never_ends_an_answer_is_refused(tiny_model: Path) -> None:
    tokenizer = load_tokenizer(tiny_model)
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    with pytest.raises(InputError, match="would never stop"):
        encode(tokenizer, ROW)


def test_a_template_that_does_not_continue_its_prompt_is_refused(tiny_model: Path) -> None:
    tokenizer = load_tokenizer(tiny_model)
    tokenizer.chat_template = "{{ messages | length }}{% for m in messages %}{{ m['content'] }}<|im_end|>{% endfor %}"
    with pytest.raises(InputError, match="does not start with"):
        encode(tokenizer, ROW)


@pytest.mark.parametrize("policy", ["drop", "truncate"])
def test_every_row_and_token_is_accounted_for(tokenizer: Any, policy: Any) -> None:
    rows = [ROW | {"id": str(n), "label": "roof " * n} for n in range(1, 12)]
    rows.append(ROW | {"id": "prompt too long", "text": "leaks " * 50})
    examples, counts = encode_all(tokenizer, rows, max_length=18, over_length=policy)
    assert counts.rows_in == 12 == counts.rows_out + counts.rows_dropped
    assert counts.tokens_in == counts.tokens_out + counts.tokens_dropped + counts.tokens_cut
    assert counts.tokens_out == sum(len(example.ids) for example in examples)
    assert counts.tokens_trained == sum(label != IGNORED for example in examples for label in example.labels)
    assert 0 < len(examples) < 12
    assert (counts.eos_lost > 0) == (policy == "truncate")
    assert all(len(example.ids) <= 18 for example in examples)


def test_over_length_error_names_the_row_and_its_length(tokenizer: Any) -> None:
    with pytest.raises(InputError, match=r"tokens, tokenize\.max_length is 8") as caught:
        encode_all(tokenizer, [ROW], max_length=8, over_length="error")
    assert caught.value.place == "row a"
