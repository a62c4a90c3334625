"""From a profile of the rows to a suite that a person edits: bounds with head-room, and why each is there.

Reads the chat templates for their control tokens. What is suggested as critical or warning holds of the rows that were
seen, but for control tokens in them and what a template does not render, and of rows like them tomorrow: a length may
double, a share may fall. Writes nothing.
"""

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tunegate.data.checks.columns import SLICE
from tunegate.data.checks.profile import Profile
from tunegate.files import read_text

HEAD_ROOM = 2
"""How many times longer, or fewer, rows may become."""
LABEL_SET = 200
"""More labels than these are too many for a list that a person edits."""
SLICE_SET = 50
CONTROL_TOKEN = re.compile(r"<\|[A-Za-z0-9_ -]+\|>|\[/?INST\]|</?s>|<(?:start|end)_of_turn>")

Suggested = dict[str, Any]


def suggest(profile: Profile, name: str, templates: Path) -> dict[str, Any]:
    """The suite `name` for rows like those of `profile`, ready to be written as JSON.

    With a profile of one source, every expectation judges the rows of that source alone.
    """
    expectations = [*_of_table(profile), *_of_text(profile), *_of_labels(profile), *_of_slices(profile)]
    expectations += [*_of_talks(profile, templates), *_of_tokens(templates)]
    if profile.source is not None:
        column = {"name": "source"}
        condition = {"type": "comparison", "column": column, "operator": "==", "parameter": profile.source}
        expectations = [e | {"kwargs": e["kwargs"] | {"row_condition": condition}} for e in expectations]
    return {"name": name, "expectations": expectations}


def _expectation(kind: str, severity: str, description: str, **kwargs: Any) -> Suggested:
    return {"type": kind, "kwargs": kwargs, "severity": severity, "description": description}


def _of_table(profile: Profile) -> Iterator[Suggested]:
    fewest = max(1, profile.rows // HEAD_ROOM)
    why = f"Seen: {profile.rows} rows. Far fewer is a source that broke off."
    yield _expectation("expect_table_row_count_to_be_between", "critical", why, min_value=fewest)
    repeated = f"Seen: {profile.repeated} rows that repeat another's question and answer; `prepare` drops repeats."
    columns = ["text", "answer", *(["rejected"] if len(profile.lengths["rejected"]) else [])]
    yield _expectation("expect_compound_columns_to_be_unique", "info", repeated, column_list=columns)


def _of_text(profile: Profile) -> Iterator[Suggested]:
    kind = "expect_column_value_lengths_to_be_between"
    for column, severity in (("text", "warning"), ("answer", "critical"), ("rejected", "warning")):
        if not len(profile.lengths[column]):
            continue
        shortest, usual, longest = (profile.lengths[column].at(share) for share in (0, 0.99, 1))
        summary = f"Seen: {shortest} to {longest} characters, 99 % of rows up to {usual}."
        if shortest:
            what = "Shorter is hardly a question." if column == "text" else "An empty answer teaches nothing."
            at_least = max(1, shortest // HEAD_ROOM) if column == "text" else 1
            yield _expectation(kind, severity, f"{summary} {what}", column=column, min_value=at_least)
        most = _round_up(HEAD_ROOM * max(longest, 1))
        why = f"{summary} Longer is likely to meet tokenize.max_length."
        yield _expectation(kind, "warning", why, column=column, max_value=most)
        if column != "text" and len(profile.lengths[column]) == profile.rows:
            why = f"Seen: all {profile.rows} rows have one."
            yield _expectation("expect_column_values_to_not_be_null", "warning", why, column=column)


def _of_labels(profile: Profile) -> Iterator[Suggested]:
    counts = profile.values.get("label")
    if not counts:
        return
    rarest = min(counts.values())
    summary = f"Seen: {len(counts)} labels, the rarest in {rarest} rows."
    if len(counts) > 1:
        why = f"{summary} One answer to every question is a broken export, not a task."
        kind = "expect_column_unique_value_count_to_be_between"
        yield _expectation(kind, "critical", why, column="label", min_value=max(2, len(counts) // HEAD_ROOM))
    if len(counts) <= LABEL_SET and profile.count("label") >= HEAD_ROOM * len(counts):
        why = f"{summary} Any other is a slip, or a new label that belongs into this list."
        labels = sorted(counts)
        yield _expectation("expect_column_values_to_be_in_set", "warning", why, column="label", value_set=labels)


def _of_slices(profile: Profile) -> Iterator[Suggested]:
    for column, counts in sorted(profile.values.items()):
        if not column.startswith(SLICE) or counts is None:
            continue
        present = counts.total()
        if not present:
            continue
        share = present / profile.rows
        summary = f"Seen: {present} of {profile.rows} rows have it, {len(counts)} different values."
        kind = "expect_column_values_to_not_be_null"
        if share == 1:
            why = f"{summary} A row without it is in no metric of this slice."
            yield _expectation(kind, "warning", why, column=column)
        elif share >= 0.1:
            mostly = math.floor(share * 100 / HEAD_ROOM) / 100
            yield _expectation(
                kind, "info", f"{summary} Far fewer is a mapping that broke.", column=column, mostly=mostly
            )
        if len(counts) <= SLICE_SET and present >= HEAD_ROOM * len(counts):
            why = f"{summary} Any other is a slip, or a new value that belongs into this list."
            values = sorted(counts)
            yield _expectation("expect_column_values_to_be_in_set", "info", why, column=column, value_set=values)


def _of_talks(profile: Profile, templates: Path) -> Iterator[Suggested]:
    if not profile.talks:
        return
    summary = f"Seen: {profile.talks} of {profile.rows} rows are conversations."
    files = sorted(templates.glob("*.jinja"))
    # With several templates, which one the model has is for a person to say.
    template = {"template": files[0].name} if len(files) == 1 else {}
    why = f"{summary} One that does not alternate, or that no template renders, teaches the wrong turns."
    severity = "warning"
    if profile.malformed:
        # As a warning, it would move rows away that a person has not looked at.
        why, severity = f"{why} {profile.malformed} are not well formed: mend them, then write warning.", "info"
    yield _expectation("expect_conversation_to_be_well_formed", severity, why, column="messages", **template)
    most = _round_up(HEAD_ROOM * max(profile.turns, 1))
    why = f"{summary} Seen: up to {profile.turns} messages of the user."
    yield _expectation("expect_column_values_to_be_between", "warning", why, column="turns", max_value=most)


def _of_tokens(templates: Path) -> Iterator[Suggested]:
    tokens = sorted({token for file in templates.glob("*.jinja") for token in CONTROL_TOKEN.findall(read_text(file))})
    if tokens:
        why = "The chat template's own tokens: in a question they were copied, or pass for another's turn."
        yield _expectation("expect_text_to_have_no_control_tokens", "warning", why, column="text", tokens=tokens)


def _round_up(number: int) -> int:
    """The next number with two digits that are not zero."""
    unit = int(10 ** max(0, len(str(number)) - 2))
    return -(-number // unit) * unit
