"""Conversations as records hold them: Alpaca, ShareGPT, OpenAI chat, or messages made of columns.

Strict about roles and about what a turn may hold: a call of a tool, an image or an unknown name is refused with its
place, never dropped.
"""

from collections.abc import Mapping
from typing import Any

from tunegate.data.rows import Message
from tunegate.data.sources.json_text import parse_strict
from tunegate.data.sources.row_declaration import ROLES, MessageTemplate, Value
from tunegate.data.sources.values import Columns
from tunegate.errors import InputError
from tunegate.text import did_you_mean

Conversations = list[list[Message]]

_OPENAI = {role: role for role in ROLES} | {"developer": "system"}
_SHAREGPT = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}
_ONLY_TALK = "only what is said is trained on: drop the key, or the row"


def from_messages(columns: Columns, name: str) -> Conversations:
    """The column `name`, a list of role and content for each record, or the JSON text of one."""
    return _from_turns(columns, name, ("role", "content"), _OPENAI)


def from_openai(columns: Columns) -> Conversations:
    """OpenAI's chat format: a column `messages`; tools and functions are refused."""
    _refuse_columns(columns, "tools", "functions")
    return from_messages(columns, "messages")


def from_sharegpt(columns: Columns) -> Conversations:
    """ShareGPT's format: a column `conversations` of from and value, perhaps `system`; tools are refused."""
    _refuse_columns(columns, "tools")
    return _with_system(columns, _from_turns(columns, "conversations", ("from", "value"), _SHAREGPT))


def from_alpaca(columns: Columns) -> Conversations:
    """Alpaca's format: `instruction`, perhaps `input` below it, and `output`, perhaps `system`; history is refused."""
    _refuse_columns(columns, "history")
    instructions = columns.required("instruction", Value(from_="{instruction}"))
    answers = columns.required("output", Value(from_="{output}"))
    inputs = columns.optional("input")
    questions = [f"{text}\n\n{more}" if more else text for text, more in zip(instructions, inputs, strict=True)]
    conversations = [
        [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        for question, answer in zip(questions, answers, strict=True)
    ]
    return _with_system(columns, conversations)


def from_templates(columns: Columns, templates: tuple[MessageTemplate, ...]) -> Conversations:
    """Messages made of columns; one without content is an empty one."""
    roles = [columns.required("role", template.role) for template in templates]
    contents = [columns.filled(template.content) for template in templates]
    for number, column in enumerate(roles):
        for role in set(column) - set(ROLES):
            raise _unknown_role(role, ROLES, f"{columns.batch.place(column.index(role))}: messages[{number}]")
    turns = [zip(*pair, strict=True) for pair in zip(roles, contents, strict=True)]
    return [[{"role": role, "content": content or ""} for role, content in row] for row in zip(*turns, strict=True)]


def check_whole(columns: Columns, conversations: Conversations) -> None:
    """Raise InputError for the first conversation without a question or an answer."""
    for index, turns in enumerate(conversations):
        if turns[-1]["role"] != "assistant" or not turns[-1]["content"].strip():
            problem = "the row has no answer: its last message must be the assistant's, with content"
            remedy = "add what the assistant should say, or delete the row"
            raise InputError(problem, place=columns.batch.place(index), remedy=remedy)
        if not any(message["role"] == "user" and message["content"].strip() for message in turns):
            remedy = "add the question, or delete the row"
            raise InputError("no message of the user", place=columns.batch.place(index), remedy=remedy)


def _from_turns(columns: Columns, name: str, keys: tuple[str, str], roles: Mapping[str, str]) -> Conversations:
    conversations = []
    for index, value in enumerate(columns.raw(name)):
        place = columns.batch.place(index)
        is_json = isinstance(value, str) and value.startswith("[")
        turns = parse_strict(value, f"{place}: {name}") if is_json else value
        if not isinstance(turns, list) or not turns:
            problem = f"{name} must be a list of {keys[0]} and {keys[1]} (got {turns!r:.80})"
            raise InputError(problem, place=place, remedy="write at least what the user and the assistant said")
        conversations.append([_turn(turn, keys, roles, place, f"{name}[{n}]") for n, turn in enumerate(turns)])
    return conversations


def _turn(turn: Any, keys: tuple[str, str], roles: Mapping[str, str], place: str, name: str) -> Message:
    role_key, content_key = keys
    # The common turn, without a call: two keys, a valid role, a text.
    if isinstance(turn, dict) and len(turn) == 2:
        role, content = roles.get(str(turn.get(role_key))), turn.get(content_key)
        if role is not None and isinstance(content, str):
            return {"role": role, "content": content}
    where = f"{place}: {name}"
    if not isinstance(turn, dict) or not set(keys) <= set(turn):
        problem = f"no {role_key} and {content_key} (got {turn!r:.80})"
        raise InputError(problem, place=where, remedy="give every message both")
    unknown = next((key for key, value in turn.items() if key not in keys and value is not None), None)
    if unknown is not None:
        raise InputError(f"unknown key {unknown!r}", place=where, remedy=_ONLY_TALK)
    role = roles.get(str(turn[role_key]))
    if role is None:
        raise _unknown_role(turn[role_key], tuple(roles), where)
    return {"role": role, "content": _content(turn[content_key], content_key, where)}


def _content(content: Any, key: str, place: str) -> str:
    if content is None:
        return ""
    if isinstance(content, list):
        return "".join(_part(part, f"{place}.{key}[{number}]") for number, part in enumerate(content))
    if not isinstance(content, str):
        problem = f"{key} must be a text (got {type(content).__name__})"
        raise InputError(problem, place=place, remedy="write it as one text")
    return content


def _part(part: Any, place: str) -> str:
    if isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str):
        return str(part["text"])
    kind = part.get("type") if isinstance(part, dict) else part
    remedy = "only text is trained on: drop the part, or the row"
    raise InputError(f"not a part of type text (got {kind!r:.40})", place=place, remedy=remedy)


def _unknown_role(role: object, roles: tuple[str, ...], place: str) -> InputError:
    problem = f"unknown role {role!r:.40}{did_you_mean(str(role), roles)}"
    return InputError(problem, place=place, remedy=f"write one of {', '.join(roles)}; tools are not trained on")


def _with_system(columns: Columns, conversations: Conversations) -> Conversations:
    prompts = zip(columns.optional("system"), conversations, strict=True)
    return [[{"role": "system", "content": text}, *turns] if text else turns for text, turns in prompts]


def _refuse_columns(columns: Columns, *names: str) -> None:
    for name in names:
        for index, value in enumerate(columns.batch.cells(name)):
            if value:
                problem = f"{name!r} is not trained on (got {value!r:.40})"
                raise InputError(problem, place=columns.batch.place(index), remedy=_ONLY_TALK)
