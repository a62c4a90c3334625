"""Canonical rows as (prompt, answer) in tokens, an error naming the row. Knows the chat template's tokenizer only."""

from collections.abc import Mapping, Sequence
from typing import Any

from tunegate.errors import InputError
from tunegate.models.chat_tokens import ChatTokenizer
from tunegate.models.template import Message, messages_of

Row = Mapping[str, Any]


def pairs_of(chat: ChatTokenizer, rows: Sequence[Row]) -> list[tuple[list[int], list[int]]]:
    """(prompt, answer) of canonical rows as token ids. Raises InputError that names the row the template refuses."""
    conversations = [messages_of(row) for row in rows]
    try:
        return chat.pairs(conversations)
    except InputError:
        return [_pair(chat, row["id"], messages) for row, messages in zip(rows, conversations, strict=True)]


def _pair(chat: ChatTokenizer, name: str, messages: Sequence[Message]) -> tuple[list[int], list[int]]:
    try:
        return chat.pairs([messages])[0]
    except InputError as error:
        raise InputError(error.problem, place=f"row {name}: {error.place}", remedy=error.remedy) from None
