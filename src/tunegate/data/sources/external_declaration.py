"""What data/sources.yaml says of an external source: a database, an API or an object store.

`tunegate data refresh` (tunegate.data.refresh) acts on these types, and `ingest` reads the snapshot that it wrote. They
hold no secret: a secret is named by the environment variable that contains it.
"""

import os
import re
import zoneinfo
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

from pydantic import Field, field_validator, model_validator

from tunegate.errors import InputError
from tunegate.params import Closed

Column = Annotated[str, Field(min_length=1)]
Text = Annotated[str, Field(min_length=1)]
Key = Column | Annotated[tuple[Column, ...], Field(min_length=1)]
Variable = Annotated[str, Field(pattern=r"^[A-Z_][A-Z0-9_]*$")]
FILE_COLUMN, LINE_COLUMN = "_file", "_line"
"""The columns of a snapshot that say where in an object store a row stood."""
_SECRET = re.compile(
    r"pass|pwd|token|secret|signature|credential|bearer|authorization|connection[-_]?string"
    r"|(^|api|access|account|private|auth|shared|storage|subscription|master)[-_.]?key$|private[-_.]?key"
    r"|(^|[-_.])(sig|sas|jwt|auth)($|[-_.])",
    re.IGNORECASE,
)
_NAMED_USERS = {"ssh", "sftp", "ftp", "smb", "hdfs", "webhdfs", "abfs", "abfss", "az"}
"""File systems whose URLs name an account, or a container, before the @: that is not a secret."""


def check_without_userinfo(url: str) -> None:
    """Raise ValueError, which does not show `url`, when it names a user or token before its host."""
    for one in _chained(url):
        parts = urlsplit(one)
        if "@" in parts.netloc and parts.scheme not in _NAMED_USERS:
            raise ValueError("a URL without a user, password or token; name an environment variable that holds it")


def _chained(url: str) -> list[str]:
    """The URLs of a chain as fsspec writes it: simplecache::s3://bucket/file."""
    return re.split(r"::(?=[A-Za-z][A-Za-z0-9+.-]*(?:://|::))", url)


def check_without_password(url: str) -> None:
    """Raise ValueError, which does not show `url`, when a password or token stands in it.

    For validators of a whole model: those of a field have its value printed (tunegate.params.parse).
    """
    try:
        every = [urlsplit(one) for one in _chained(url)]
        names = [unquote(pair.split("=")[0]) for parts in every for pair in re.split("[&;]", parts.query)]
        has_secret = any(parts.password for parts in every) or any(map(_SECRET.search, names))
    except ValueError:
        raise ValueError("a URL") from None
    if has_secret:
        raise ValueError("a URL without a password or token; name an environment variable that holds it instead")


class WithTimeZone(Closed):
    """A source whose times may lack a time zone."""

    time_zone: Text | None = None
    """The zone of times without one, such as UTC or Europe/Stockholm. Default: such a time is refused."""

    @field_validator("time_zone")
    @classmethod
    def _is_known(cls, value: str | None) -> str | None:
        # The list of zones alone: the name of one is a path, and looking it up would open it.
        if value is not None and value not in zoneinfo.available_timezones():
            raise ValueError("a time zone such as UTC or Europe/Stockholm")
        return value


class Sql(WithTimeZone):
    """A table or a query of a database, through SQLAlchemy."""

    url_env: Variable | None = None
    """The environment variable that holds the SQLAlchemy URL, password and all."""
    url: Text | None = Field(default=None, repr=False)
    """The SQLAlchemy URL, without the password."""
    password_env: Variable | None = None
    """The environment variable that holds the password for `url`. Default: whatever the database asks for elsewhere."""
    table: Text | None = None
    """A table, read whole."""
    query: Text | None = None
    """A SELECT, without an ORDER BY."""
    key: Key
    """The column, or a list of columns, that names a row: unique, and what the snapshot is sorted by."""
    cursor: Column | None = None
    """A column that only grows (a number, a time): later refreshes read only rows from its last value on."""

    @model_validator(mode="after")
    def _is_one_of_each(self) -> "Sql":
        if self.url is not None:
            check_without_password(self.url)
        if (self.url_env is None) == (self.url is None):
            raise ValueError("url_env or url, one of them")
        if self.password_env is not None and self.url is None:
            raise ValueError("password_env together with url")
        if (self.table is None) == (self.query is None):
            raise ValueError("table or query, one of them")
        return self


class Pagination(Closed):
    """How the next page of an answer is asked for."""

    kind: Literal["cursor", "page", "link"]
    """cursor: the answer names the next page. page: pages are counted. link: the header Link has rel="next"."""
    parameter: Text | None = None
    """The query parameter that takes the cursor or the page's number. Default: cursor, page."""
    next: Text | None = None
    """kind cursor: dotted path of the next cursor in the answer; absent or null on the last page."""
    start: Annotated[int, Field(ge=0)] = 1
    """kind page: the number of the first page. The first page without records is the end."""

    @model_validator(mode="after")
    def _fits_its_kind(self) -> "Pagination":
        if (self.kind == "cursor") != (self.next is not None):
            raise ValueError("next with kind cursor, and only there")
        if self.kind == "link" and self.parameter is not None:
            raise ValueError("no parameter with kind link")
        return self


class Auth(Closed):
    """The credentials: a bearer token, or a key in a header, from the environment."""

    bearer_env: Variable | None = None
    """The environment variable that holds a bearer token."""
    header: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")] | None = None
    """The header that takes the key in `env`."""
    env: Variable | None = None
    """The environment variable that holds the key."""

    @model_validator(mode="after")
    def _is_one_kind(self) -> "Auth":
        if (self.header is None) != (self.env is None) or (self.bearer_env is None) == (self.header is None):
            raise ValueError("bearer_env, or header and env together")
        return self


class RestCursor(Closed):
    """Later refreshes ask only for what is new."""

    column: Column
    """The field of a record that only grows."""
    parameter: Text
    """The query parameter that takes its last value."""


class Rest(Closed):
    """Records of an HTTP API that answers in JSON."""

    url: Text = Field(repr=False)
    """http:// or https://, without a password or token."""
    records: Text | None = None
    """Dotted path of the list of records in an answer. Default: the answer is the list."""
    parameters: dict[str, str | int | bool] = Field(default={})
    """Query parameters of every request."""
    pagination: Pagination | None = None
    """How the next page is asked for. Default: one answer is all."""
    auth: Auth | None = None
    """The credentials."""
    key: Key
    """The field, or a list of fields, that names a record: unique, and what the snapshot is sorted by."""
    cursor: RestCursor | None = None
    """Later refreshes ask only for what is new."""

    @model_validator(mode="after")
    def _is_http(self) -> "Rest":
        if not self.url.startswith(("http://", "https://")):
            raise ValueError("a URL that starts with https:// or http://")
        check_without_password(self.url)
        check_without_userinfo(self.url)
        return self

    @field_validator("parameters")
    @classmethod
    def _hold_no_secret(cls, value: dict[str, str | int | bool]) -> dict[str, str | int | bool]:
        for name in value:
            if _SECRET.search(name):
                raise ValueError(f"without {name!r}: a secret goes into the environment, see auth")
        return value


class Object(WithTimeZone):
    """Files of an object store, through fsspec. A row's key is its file and its line."""

    url: Text = Field(repr=False)
    """As fsspec writes it: s3://bucket/folder/*.jsonl, gs://, az://, ssh://, file://. `*` is allowed."""
    options: dict[str, str | int | bool] = Field(default={})
    """Options of the file system, such as endpoint_url of s3 or port of ssh."""
    env: dict[str, Variable] = Field(default={})
    """Options whose values are secrets: the environment variable that holds each."""

    @model_validator(mode="after")
    def _holds_no_secret(self) -> "Object":
        check_without_password(self.url)
        check_without_userinfo(self.url)
        if "://" not in self.url:
            raise ValueError("a URL such as s3://bucket/folder/*.jsonl")
        for name, value in self.options.items():
            if "://" in str(value):
                check_without_password(str(value))
                check_without_userinfo(str(value))
            if _SECRET.search(name) and not name.endswith("_url"):
                raise ValueError(f"options without {name!r}: a secret goes into the environment, see env")
        return self


External = Sql | Rest | Object


def key_of(declared: External) -> tuple[str, ...]:
    """The columns of the key of an external source."""
    if isinstance(declared, Object):
        return FILE_COLUMN, LINE_COLUMN
    return (declared.key,) if isinstance(declared.key, str) else declared.key


def secret_of(variable: str, place: str) -> str:
    """The value of the environment variable. Raises InputError, which names it and `place`, when it is not set."""
    value = os.environ.get(variable, "").strip()
    if not value:
        problem = f"the environment variable {variable} is not set"
        raise InputError(problem, place=place, remedy=f"export {variable}=… in the shell that runs the refresh")
    if not value.isprintable():
        problem = f"the environment variable {variable} has a line break or another control character"
        raise InputError(problem, place=place, remedy="set it again, to one line")
    return value
