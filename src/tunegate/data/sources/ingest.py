"""From declared sources to canonical rows.

Reads the files of the sources, through `records`. Knows the columns that make a row without being told, gives each
row its id and its group, and refuses a row that is not whole. Writes nothing.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from tunegate.data.ledger import make_ledger
from tunegate.data.nearest import did_you_mean, listed
from tunegate.data.rows import Message, Row
from tunegate.data.sources.declaration import ROLES, Located, MessageTemplate, RowTemplate, Source, load_sources, locate
from tunegate.data.sources.records import Record, check_columns, read_records
from tunegate.data.sources.templates import columns_of, fill
from tunegate.errors import InputError
from tunegate.files import sha256_of

# Columns that make a row without a `row:` in sources.yaml, in the order in which they are looked for.
KNOWN_COLUMNS = {
    ("messages",): RowTemplate(messages="{messages}"),
    ("text", "label"): RowTemplate(text="{text}", label="{label}"),
    ("prompt", "completion"): RowTemplate(
        messages=(
            MessageTemplate(role="user", content="{prompt}"),
            MessageTemplate(role="assistant", content="{completion}"),
        )
    ),
}


class Ingested(NamedTuple):
    """Canonical rows in the order of their sources, and the stage's ledger."""

    rows: list[Row]
    ledger: dict[str, Any]


def ingest(declared: Path, raw: Path, lock: Path, *, limit: int | None = None) -> Ingested:
    """All rows of the sources in `declared`, the first `limit` of each. Raises InputError for the first bad row."""
    rows: list[Row] = []
    read: list[str] = []
    files: dict[str, Any] = {}
    for source in load_sources(declared):
        located = locate(source, declared, raw, lock)
        records = [record for file in located for record in read_records(file)]
        rows.extend(_rows(source, records[:limit], str(declared)))
        read.extend([source.name] * len(records))
        files[source.name] = {"license": source.license, "files": _checksums(located)}
    rows = _with_unique_ids(rows, str(declared))
    went = [row.source for row in rows]
    reasons = {"over_limit": len(read) - len(went)}
    details = {"sources": files}
    ledger = make_ledger("ingest", sources_in=read, sources_out=went, reasons=reasons, details=details)
    return Ingested(rows, ledger)


def _checksums(files: list[Located]) -> dict[str, str]:
    return {file.name: sha256_of(file.path) for file in files}


def _rows(source: Source, records: list[Record], declared: str) -> Iterator[Row]:
    place = f"{declared}: {source.name}.row"
    for record in records:
        template = _completed(source.row, record, place)
        check_columns(record, _named_columns(template), place)
        yield _row(template, record, source.name)


def _completed(template: RowTemplate, record: Record, place: str) -> RowTemplate:
    if template.messages is not None or template.text is not None:
        return template
    for columns, known in KNOWN_COLUMNS.items():
        if all(column in record.values for column in columns):
            return known.model_copy(update=template.model_dump(include={"id", "group", "slices"}))
    wanted = "messages; text and label; prompt and completion"
    near = next((hint for name in ("text", "label") if (hint := did_you_mean(name, record.values))), "")
    problem = f"the columns {listed(record.values)} do not say which is question and which is answer{near}"
    raise InputError(problem, place=record.place, remedy=f"name them so ({wanted}), or map them at {place}")


def _named_columns(template: RowTemplate) -> list[str]:
    turns = [template.messages] if isinstance(template.messages, str) else template.messages or ()
    texts: list[str | None] = [template.id, template.group, template.text, template.label, *template.slices.values()]
    for turn in turns:
        texts.extend([turn] if isinstance(turn, str) else [turn.role, turn.content])
    return [column for text in texts if text is not None for column in columns_of(text)]


def _row(template: RowTemplate, record: Record, source: str) -> Row:
    values = dict.fromkeys(("text", "label"), None) | {"messages": None}
    if template.messages is None:
        values = {name: _filled(name, getattr(template, name), record) for name in ("text", "label")}
    messages = None if template.messages is None else tuple(_messages(template.messages, record))
    slices = {name: fill(text, record.values) for name, text in template.slices.items()}
    row = Row(
        id="",
        group="",
        source=source,
        place=record.place,
        messages=messages,
        text=values["text"],
        label=values["label"],
        slices={name: value for name, value in slices.items() if value is not None},
    )
    return _named(row, template, record)


def _named(row: Row, template: RowTemplate, record: Record) -> Row:
    named = template.id or ("{id}" if "id" in record.values else None)
    own_id = _filled("id", named, record) if named else ""
    group = _filled("group", template.group, record) if template.group else own_id or f"q-{_hash(row.question)}"
    return replace(row, id=own_id, group=group)


def _filled(what: str, template: str, record: Record) -> str:
    try:
        value = fill(template, record.values)
    except TypeError as error:
        raise InputError(str(error), place=record.place, remedy="map another column, or flatten this one") from None
    if value is None or not value.strip():
        problem = f"empty {what}" + (": the row has no answer" if what == "label" else "")
        raise InputError(problem, place=record.place, remedy="complete this row, or delete it")
    return value


def _messages(template: str | tuple[MessageTemplate, ...], record: Record) -> list[Message]:
    if isinstance(template, str):
        said = record.values[columns_of(template)[0]]
    else:
        said = [{"role": _filled("role", t.role, record), "content": fill(t.content, record.values)} for t in template]
    if not isinstance(said, list) or not said:
        problem = f"messages must be a list of role and content (got {said!r:.80})"
        raise InputError(problem, place=record.place, remedy="write at least what the user and the assistant said")
    messages = [_message(turn, number, record.place) for number, turn in enumerate(said)]
    if messages[-1]["role"] != "assistant" or not messages[-1]["content"].strip():
        problem = "the row has no answer: its last message must be the assistant's, with content"
        raise InputError(problem, place=record.place, remedy="add what the assistant should say, or delete the row")
    if not any(message["role"] == "user" and message["content"].strip() for message in messages):
        raise InputError("no message of the user", place=record.place, remedy="add the question, or delete the row")
    return messages


def _message(turn: Any, number: int, place: str) -> Message:
    where = f"{place}: messages[{number}]"
    if not isinstance(turn, dict) or not {"role", "content"} <= set(turn):
        raise InputError(f"no role and content (got {turn!r:.80})", place=where, remedy="give every message both")
    unknown = next((key for key, value in turn.items() if key not in ("role", "content") and value is not None), None)
    if unknown is not None:
        remedy = "only role and content are trained on: drop the key, or the row"
        raise InputError(f"unknown key {unknown!r}", place=where, remedy=remedy)
    if turn["role"] not in ROLES:
        problem = f"unknown role {turn['role']!r}{did_you_mean(str(turn['role']), ROLES)}"
        raise InputError(problem, place=where, remedy=f"write one of {', '.join(ROLES)}")
    content = turn["content"] if turn["content"] is not None else ""
    if not isinstance(content, str):
        problem = f"content must be a text (got {type(content).__name__})"
        raise InputError(problem, place=where, remedy="write the content as one text")
    return {"role": turn["role"], "content": content}


def _with_unique_ids(rows: list[Row], declared: str) -> list[Row]:
    # Equal rows without ids of their own are counted up: `prepare` drops them, and says so in its ledger.
    places: dict[str, str] = {}
    named = []
    for row in rows:
        base = "" if row.id else _hash(json.dumps([row.question, row.answer]))
        name, number = row.id or base, 1
        while base and name in places:
            number += 1
            name = f"{base}-{number}"
        if name in places:
            problem = f"duplicate id {name!r}, first at {places[name]}"
            remedy = f'make the ids unique, for instance with `id: "{{id}}-{row.source}"` in {declared}'
            raise InputError(problem, place=row.place, remedy=remedy)
        places[name] = row.place
        named.append(replace(row, id=name))
    return named


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
