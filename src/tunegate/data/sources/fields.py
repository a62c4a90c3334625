"""The content of records, by the template of their source: question, answer, and the answer that was rejected.

Some columns need no template: DEFAULT_TEMPLATES. Works on whole columns.
"""

from typing import NamedTuple

from tunegate.data.sources.batches import Batch
from tunegate.data.sources.conversations import (
    Conversations,
    check_whole,
    from_alpaca,
    from_messages,
    from_openai,
    from_sharegpt,
    from_templates,
)
from tunegate.data.sources.preferences import CHOSEN, REJECTED, from_preference
from tunegate.data.sources.row_declaration import Label, MessageTemplate, RowTemplate, Value, conversation_column
from tunegate.data.sources.values import Columns
from tunegate.errors import InputError
from tunegate.text import did_you_mean, listed

# Columns that make a row without a `row:` in sources.yaml, in the order in which they are looked for.
DEFAULT_TEMPLATES = {
    (CHOSEN, REJECTED): RowTemplate(format="preference"),
    ("messages",): RowTemplate(format="openai-chat"),
    ("text", "label"): RowTemplate(text=Value(from_="{text}"), label=Label(from_="{label}")),
    ("prompt", "completion"): RowTemplate(
        messages=(
            MessageTemplate(role=Value(from_="user"), content=Value(from_="{prompt}")),
            MessageTemplate(role=Value(from_="assistant"), content=Value(from_="{completion}")),
        )
    ),
}
RAW_TEXT = RowTemplate(text=Value(from_="{text}"))
_NAMED_FORMATS = {"alpaca": ("instruction", "output"), "sharegpt": ("conversations",)}
_FORMATS = {"alpaca": from_alpaca, "sharegpt": from_sharegpt, "openai-chat": from_openai}


class Content(NamedTuple):
    """The content of the records of a batch: conversations, or texts with labels; None for what no record has."""

    texts: list[str] | None = None
    labels: list[str | None] | None = None
    conversations: Conversations | None = None
    rejected: list[str] | None = None

    @property
    def answers(self) -> list[str | None]:
        """The answer of each record; None where it has none."""
        if self.conversations is not None:
            return [turns[-1]["content"] for turns in self.conversations]
        return self.labels or [None] * len(self.texts or ())


def default_template(batch: Batch, declared: str) -> RowTemplate:
    """The template for the columns of `batch`. Raises InputError where there is none; `declared` is `row:`."""
    names = batch.names()
    if batch.is_raw:
        return RAW_TEXT
    for columns, template in DEFAULT_TEMPLATES.items():
        if set(columns) <= set(names):
            return template
    near = next((hint for name in ("text", "label") if (hint := did_you_mean(name, names))), "")
    problem = f"the columns {listed(names)} do not say which is question and which is answer{near}"
    remedy = f"name them so (messages; text and label; prompt and completion), or map them at {declared}"
    if "text" in names:
        remedy += '; text without answers is `text: "{text}"` there'
    for name, columns in _NAMED_FORMATS.items():
        if set(columns) <= set(names):
            remedy = f"write `format: {name}` at {declared}, or map the columns there"
    raise InputError(problem, place=batch.place(0), remedy=remedy)


def content_of(template: RowTemplate, columns: Columns) -> Content:
    """The content of each record, by a complete `template`. Raises InputError for the first incomplete one."""
    if template.text is not None:
        texts = columns.required("text", template.text)
        labels = None if template.label is None else columns.labels(template.label)
        return Content(texts, labels, rejected=_rejected(template, columns))
    if template.format == "preference":
        preferences = from_preference(columns)
        content = Content(conversations=preferences.chosen, rejected=preferences.rejected)
    else:
        content = Content(conversations=_conversations(template, columns), rejected=_rejected(template, columns))
    check_whole(columns, content.conversations or [])
    return content


def _conversations(template: RowTemplate, columns: Columns) -> Conversations:
    column = conversation_column(template)
    if template.format is not None:
        return _FORMATS[template.format](columns)
    if column is not None:
        return from_messages(columns, column)
    return from_templates(columns, template.messages)  # type: ignore[arg-type]


def _rejected(template: RowTemplate, columns: Columns) -> list[str] | None:
    return None if template.rejected is None else columns.required("rejected", template.rejected)
