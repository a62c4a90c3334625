from pathlib import Path

import pytest

from tunegate.errors import InputError
from tunegate.models.loading import load_tokenizer
from tunegate.models.tokens.chat_tokens import ChatTokenizer, Recipe
from tunegate.models.tokens.rows import messages_of, pairs_of, prompts_of, question_of, turns_of

CONVERSATION = [
    {"role": "user", "content": "it leaks"},
    {"role": "assistant", "content": "which room?"},
    {"role": "user", "content": "room 3"},
    {"role": "assistant", "content": "roof"},
]
TALK = {"id": "talk", "messages": CONVERSATION, "text": None, "label": None}
LABELLED = {"id": "labelled", "messages": None, "text": "it leaks", "label": "roof"}


@pytest.fixture
def chat(tiny_model: Path) -> ChatTokenizer:
    return Recipe.of(load_tokenizer(tiny_model)).chat()


def test_text_and_label_are_a_conversation_and_the_question_is_the_last_of_the_user() -> None:
    assert messages_of(LABELLED) == [CONVERSATION[0], {"role": "assistant", "content": "roof"}]
    assert [question_of(row) for row in (LABELLED, TALK)] == ["it leaks", "room 3"]


def test_pairs_turns_and_prompts_agree(chat: ChatTokenizer) -> None:
    ((prompt, answer),) = pairs_of(chat, [TALK])
    (turns,) = turns_of(chat, [TALK])
    assert len(turns) == 4
    assert [token for part in turns for token in part] == prompt + answer
    assert prompts_of(chat, [LABELLED]) == [pairs_of(chat, [LABELLED])[0][0]]


def test_a_row_that_the_template_refuses_is_named(tiny_model: Path) -> None:
    tokenizer = load_tokenizer(tiny_model)
    tokenizer.chat_template = "{% if messages|length > 2 %}{{ raise_exception('too long') }}{% endif %}" + (
        tokenizer.chat_template
    )
    with pytest.raises(InputError, match="too long") as caught:
        pairs_of(Recipe.of(tokenizer).chat(), [LABELLED, TALK])
    assert caught.value.place.startswith("row talk")
