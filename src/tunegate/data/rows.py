"""The canonical row: what every source becomes, and what all later stages read, and what its question and answer are.

`id` is stable and unique, `group` names rows that must not be separated by a split, `messages` is a conversation or
`text` + `label` a question with its answer; `text` alone is raw text, or a question that nobody has answered yet.
`rejected` is an answer that was not chosen, beside the label or the last message. `slices` are named subgroups for the
metrics, `source` is the name of the source it came from and `place` its file and line. What `Row` says of a row in
Python, LAST_TURN_SQL, ANSWER_SQL and DIALOGUE_SQL say of the columns `messages`, `text` and `label` in DuckDB.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

MESSAGE = pa.struct([("role", pa.string()), ("content", pa.string())])

ROW = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("group", pa.string(), nullable=False),
        pa.field("messages", pa.list_(MESSAGE)),
        pa.field("text", pa.string()),
        pa.field("label", pa.string()),
        pa.field("rejected", pa.string()),
        pa.field("slices", pa.map_(pa.string(), pa.string()), nullable=False),
        pa.field("source", pa.string(), nullable=False),
    ]
)

# Prepared rows carry no place: a line inserted above a row must not make its bytes, and all that follows, differ.
PLACED_ROW = ROW.append(pa.field("place", pa.string(), nullable=False))

TEXTS = ("text", "label", "rejected")
"""The columns of a row that are texts, as those in `messages` are."""

LAST_TURN_SQL = """CASE WHEN messages IS NULL THEN coalesce(text, '') ELSE
    coalesce(list_filter(messages, lambda m: m.role = 'user')[-1].content, '') END"""
ANSWER_SQL = "CASE WHEN messages IS NULL THEN coalesce(label, '') ELSE messages[-1].content END"
DIALOGUE_SQL = """CASE WHEN messages IS NULL THEN coalesce(text, '') ELSE array_to_string(list_transform(list_filter(
    messages[:-2], lambda m: m.role <> 'system'), lambda m: coalesce(m.content, '')), chr(10)) END"""

Message = dict[str, str]


@dataclass(frozen=True, slots=True)
class Row:
    """One canonical row: either `messages`, ending with the assistant's, or `text`, with `label` unless unanswered."""

    id: str
    group: str
    source: str
    place: str = ""
    messages: tuple[Message, ...] | None = None
    text: str | None = None
    label: str | None = None
    rejected: str | None = None
    slices: dict[str, str] = field(default_factory=dict)

    @property
    def is_answered(self) -> bool:
        """Whether there is an answer to learn: not in raw text, nor in a question without a label."""
        return self.messages is not None or self.label is not None

    @property
    def prompt(self) -> str:
        """All that the model is given: the text, or every message before the last, as canonical JSON."""
        return self.text or "" if self.messages is None else json.dumps(self.messages[:-1], sort_keys=True)

    @property
    def answer(self) -> str:
        """What the model is to say: the label, or the last message's content; empty where there is none."""
        return self.label or "" if self.messages is None else self.messages[-1]["content"]

    @property
    def last_turn(self) -> str:
        """What the user said last: the text, or the last user message's content."""
        if self.messages is None:
            return self.text or ""
        return next((m["content"] for m in reversed(self.messages) if m["role"] == "user"), "")


def dialogue_of(text: str | None, messages: Sequence[Mapping[str, str]] | None) -> str:
    """The text by which rows are compared: what was said before the answer, without roles and system messages.

    System messages are the same in many rows.
    """
    if messages is None:
        return text or ""
    return "\n".join(message["content"] for message in messages[:-1] if message["role"] != "system")


def with_texts(row: Row, change: Callable[[str], str]) -> Row:
    """`row` with `change` made to its text, label, rejected answer and what is said in its messages."""
    texts: dict[str, Any] = {name: change(value) for name in TEXTS if (value := getattr(row, name)) is not None}
    if row.messages is None:
        return replace(row, **texts)
    messages = tuple(message | {"content": change(message["content"])} for message in row.messages)
    return replace(row, **texts, messages=messages)


def table_of(rows: Iterable[Row], schema: pa.Schema = ROW) -> pa.Table:
    """`rows` as a table with the columns of `schema` (ROW or PLACED_ROW), in their order."""
    return pa.Table.from_pylist([_record(row) for row in rows], schema=schema)


def rows_of(table: pa.Table) -> list[Row]:
    """The rows of a table that `table_of` made; columns it does not know are left out."""
    columns = set(PLACED_ROW.names)
    return [_row({key: value for key, value in record.items() if key in columns}) for record in table.to_pylist()]


def _record(row: Row) -> dict[str, Any]:
    messages = None if row.messages is None else list(row.messages)
    return {
        "id": row.id,
        "group": row.group,
        "messages": messages,
        "text": row.text,
        "label": row.label,
        "rejected": row.rejected,
        "slices": sorted(row.slices.items()),
        "source": row.source,
        "place": row.place,
    }


def _row(record: dict[str, Any]) -> Row:
    messages = record.pop("messages")
    slices = dict(record.pop("slices"))
    return Row(messages=None if messages is None else tuple(messages), slices=slices, **record)
