"""Preference data: to one prompt, an answer that was chosen and one that was rejected.

Both are texts after a `prompt`, or conversations that share everything before their last message. The prompt is a text
or the messages before the answer; where chosen and rejected contain it themselves, it is not looked at.
"""

from typing import NamedTuple

from tunegate.data.rows import Message
from tunegate.data.sources.conversations import Conversations, from_messages
from tunegate.data.sources.row_declaration import Value
from tunegate.data.sources.values import Columns
from tunegate.errors import InputError

PROMPT, CHOSEN, REJECTED = "prompt", "chosen", "rejected"


class Preferences(NamedTuple):
    """The conversation of each record, with the chosen answer, and the rejected one."""

    chosen: Conversations
    rejected: list[str]


def from_preference(columns: Columns) -> Preferences:
    """The columns `chosen`, `rejected` and perhaps `prompt`. Raises InputError where two differ before the answer."""
    chosen, rejected = (_answers(columns, name) for name in (CHOSEN, REJECTED))
    for index, turns in enumerate(zip(chosen, rejected, strict=True)):
        _check_pair(*turns, columns.batch.place(index))
    return Preferences(chosen, [turns[-1]["content"] for turns in rejected])


def _answers(columns: Columns, name: str) -> Conversations:
    """Whole conversations: what the column has, after the prompt where it does not begin with one."""
    if _has_conversations(columns, name):
        conversations = from_messages(columns, name)
        if all(turns[0]["role"] != "assistant" for turns in conversations):
            return conversations
    else:
        texts = columns.required(name, Value(from_=f"{{{name}}}"))
        conversations = [[_turn("assistant", text)] for text in texts]
    pairs = zip(_prompts(columns), conversations, strict=True)
    return [[*prompt, *turns] if turns[0]["role"] == "assistant" else turns for prompt, turns in pairs]


def _prompts(columns: Columns) -> Conversations:
    if _has_conversations(columns, PROMPT):
        return from_messages(columns, PROMPT)
    return [[_turn("user", text)] for text in columns.required(PROMPT, Value(from_="{prompt}"))]


def _has_conversations(columns: Columns, name: str) -> bool:
    # Only lists: an answer that is a text may well be JSON.
    return any(isinstance(value, list) for value in columns.raw(name))


def _turn(role: str, content: str) -> Message:
    return {"role": role, "content": content}


def _check_pair(chosen: list[Message], rejected: list[Message], place: str) -> None:
    remedy = "give both the same messages up to one last answer of the assistant, or delete the row"
    before = list(zip(chosen[:-1], rejected[:-1], strict=False))
    differing = next((number for number, (one, other) in enumerate(before) if one != other), len(before))
    if differing < len(before) or len(chosen) != len(rejected):
        problem = f"chosen and rejected differ before their last message: at messages[{differing}]"
        raise InputError(problem, place=place, remedy=remedy)
    if rejected[-1]["role"] != "assistant" or not rejected[-1]["content"].strip():
        problem = "nothing is rejected: its last message must be the assistant's, with content"
        raise InputError(problem, place=f"{place}: {REJECTED}", remedy=remedy)
