"""Canonical rows as conversations, and as prompts and answers in token ids; an error names the row."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from tunegate.errors import InputError
from tunegate.models.tokens.chat_tokens import ChatTokenizer
from tunegate.models.tokens.template import Message

Row = Mapping[str, Any]
Conversations = Sequence[Sequence[Message]]
Tokens = TypeVar("Tokens")


def messages_of(row: Row) -> list[Message]:
    """The conversation of a canonical row; `text` + `label` is one question and its answer."""
    if row["messages"]:
        return [{"role": m["role"], "content": m["content"]} for m in row["messages"]]
    return [{"role": "user", "content": row["text"]}, {"role": "assistant", "content": row["label"]}]


def question_of(row: Row) -> str:
    """What the user of a canonical row says last; empty where no user says anything."""
    return next((m["content"] for m in reversed(messages_of(row)) if m["role"] == "user"), "")


def pairs_of(chat: ChatTokenizer, rows: Sequence[Row]) -> list[tuple[list[int], list[int]]]:
    """(prompt, answer) of canonical rows as token ids. Raises InputError that names the row the template refuses."""
    return _encoded(chat.pairs, rows, [messages_of(row) for row in rows])


def turns_of(chat: ChatTokenizer, rows: Sequence[Row]) -> list[list[list[int]]]:
    """[prompt, answer, prompt, answer, …] of each row: every turn of the assistant. Raises InputError as `pairs_of`."""
    return _encoded(chat.turns, rows, [messages_of(row) for row in rows])


def prompts_of(chat: ChatTokenizer, rows: Sequence[Row]) -> list[list[int]]:
    """Up to where the answer begins, of questions that have none. Raises InputError as `pairs_of`."""
    conversations = [[{"role": "user", "content": row["text"]}] for row in rows]
    return _encoded(lambda many: [chat.prompt_ids(one) for one in many], rows, conversations)


def _encoded(
    encode: Callable[[Conversations], list[Tokens]], rows: Sequence[Row], conversations: Conversations
) -> list[Tokens]:
    try:
        return encode(conversations)
    except InputError:
        return [_one(encode, row["id"], messages) for row, messages in zip(rows, conversations, strict=True)]


def _one(encode: Callable[[Conversations], list[Tokens]], name: str, messages: Sequence[Message]) -> Tokens:
    try:
        return encode([messages])[0]
    except InputError as error:
        raise InputError(error.problem, place=f"row {name}: {error.place}", remedy=error.remedy) from None
