"""Canonical rows as prompts and answers in tokens, an error naming the row. Knows the template's tokenizer only."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from tunegate.errors import InputError
from tunegate.models.tokens.chat_tokens import ChatTokenizer
from tunegate.models.tokens.template import Message, messages_of

Row = Mapping[str, Any]
Conversations = Sequence[Sequence[Message]]
Found = TypeVar("Found")


def pairs_of(chat: ChatTokenizer, rows: Sequence[Row]) -> list[tuple[list[int], list[int]]]:
    """(prompt, answer) of canonical rows as token ids. Raises InputError that names the row the template refuses."""
    return _named(chat.pairs, rows, [messages_of(row) for row in rows])


def turns_of(chat: ChatTokenizer, rows: Sequence[Row]) -> list[list[list[int]]]:
    """[prompt, answer, prompt, answer, …] of each row: every turn of the assistant. Raises InputError as `pairs_of`."""
    return _named(chat.turns, rows, [messages_of(row) for row in rows])


def prompts_of(chat: ChatTokenizer, rows: Sequence[Row]) -> list[list[int]]:
    """Up to where the answer begins, of questions that have none. Raises InputError as `pairs_of`."""
    asked = [[{"role": "user", "content": row["text"]}] for row in rows]
    return _named(lambda many: [chat.prompt_ids(one) for one in many], rows, asked)


def _named(make: Callable[[Conversations], list[Found]], rows: Sequence[Row], held: Conversations) -> list[Found]:
    try:
        return make(held)
    except InputError:
        return [_one(make, row["id"], messages) for row, messages in zip(rows, held, strict=True)]


def _one(make: Callable[[Conversations], list[Found]], name: str, messages: Sequence[Message]) -> Found:
    try:
        return make([messages])[0]
    except InputError as error:
        raise InputError(error.problem, place=f"row {name}: {error.place}", remedy=error.remedy) from None
