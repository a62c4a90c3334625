"""What `row:` in data/sources.yaml says: how a record becomes a row.

The types and their rules; `mapping` acts on them. Reads and writes nothing.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from tunegate.data.sources.templates import check_regex, check_template, columns_of
from tunegate.params import Closed

ROLES = ("system", "user", "assistant")
Format = Literal["alpaca", "sharegpt", "openai-chat", "preference"]


class Value(Closed):
    """A text made from a record: a template, which may be written alone, and what is taken of it."""

    model_config = ConfigDict(populate_by_name=True)

    from_: str = Field(alias="from")
    """The template: `{column}` stands for a column's value, what holds no column is a constant."""
    regex: str | None = None
    """A regular expression with one group: what the group finds first is the value."""
    as_: Literal["language"] | None = Field(default=None, alias="as")
    """language: a tag in the form of BCP 47, so that SV_se and sv-SE are one."""

    _check_from = field_validator("from_")(check_template)
    _check_regex = field_validator("regex")(lambda regex: None if regex is None else check_regex(regex))

    @model_validator(mode="before")
    @classmethod
    def _may_be_a_text(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"from": value}
        if not isinstance(value, dict):
            raise ValueError("a text like '{column}', or from with regex or as")
        return value


class Label(Value):
    """The answer of a row with a text."""

    optional: bool = False
    """Whether a record may lack it: its row is a question that nobody has answered yet."""


class MessageTemplate(Closed):
    """One message of a conversation."""

    role: Value
    """system, user or assistant, or a template that gives one of them."""
    content: Value
    """What is said."""


class RowTemplate(Closed):
    """How a record becomes a row. `{column}` stands for a column's value; what is not given has a default."""

    id: Value | None = None
    """Stable and unique. Default: the column `id`, or else a hash of the content."""
    group: Value | None = None
    """Rows of one group never sit on both sides of a split. Default: the id, or else a hash of the question."""
    format: Format | None = None
    """A layout that needs no mapping: alpaca (instruction, input, output), sharegpt (conversations of from and value),
    openai-chat (messages of role and content), preference (prompt, chosen and rejected)."""
    text: Value | None = None
    """The question; without a label, text that is learned as it is, or a question without an answer."""
    label: Label | None = None
    """The answer, one of a few. Of a list of several, a text with `;` between them."""
    messages: str | Annotated[tuple[MessageTemplate, ...], Field(min_length=1)] | None = None
    """A conversation: `"{column}"` that holds a list of role and content, or a list of such templates."""
    rejected: Value | None = None
    """An answer that was not chosen, beside the label or the last message."""
    slices: dict[str, Value] = Field(default={})
    """Named subgroups that get their own metrics. Without a value in a record, the row is in no such subgroup."""

    @field_validator("messages")
    @classmethod
    def _is_column(cls, value: object) -> object:
        if isinstance(value, str) and not re.fullmatch(r"\{[^{}]+\}", value):
            raise ValueError("'{column}' with the conversation, or a list of role and content")
        return value

    @model_validator(mode="after")
    def _is_one_kind(self) -> "RowTemplate":
        if sum(kind is not None for kind in (self.messages, self.text, self.format)) > 1:
            raise ValueError("either messages, or text and label, or format")
        if self.text is not None and not columns_of(self.text.from_):
            raise ValueError(f"text with a column in braces, such as '{{{self.text.from_}}}'")
        if self.label is not None and self.text is None:
            raise ValueError("label together with text")
        if self.rejected is not None and self.messages is None and self.label is None:
            raise ValueError("rejected together with text and label, or with messages")
        if self.rejected is not None and self.label is not None and self.label.optional:
            raise ValueError("rejected beside a label that is not optional")
        return self

    @property
    def is_conversation(self) -> bool:
        """Whether it makes conversations; a row of unknown columns may be one, too."""
        return self.messages is not None or self.format is not None

    @property
    def is_complete(self) -> bool:
        """Whether it says what is question and what is answer."""
        return self.is_conversation or self.text is not None


def conversation_column(template: RowTemplate) -> str | None:
    """The column that `messages: "{column}"` names."""
    return columns_of(template.messages)[0] if isinstance(template.messages, str) else None
