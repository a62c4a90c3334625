"""A table or query of PostgreSQL, MySQL, MariaDB or SQLite, through SQLAlchemy, into a spool.

One connection, one transaction, read only, in which all reads see the same rows. Rows are streamed in the order of
their key, so that a refresh that was stopped goes on behind the last key it kept.
"""

import contextlib
import re
import sqlite3
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tunegate.data.refresh.spool import Spool
from tunegate.data.refresh.value_types import packed, unpacked
from tunegate.data.sources.external_declaration import Sql, key_of, secret_of
from tunegate.errors import InputError, MachineError
from tunegate.text import listed, without_secrets

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, TextClause
    from sqlalchemy.exc import SQLAlchemyError

STREAMED_ROWS = 2_000
"""Rows that the database sends together."""
CONNECT_SECONDS = 30

_DRIVERS = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql", "mariadb": "mariadb+pymysql"}
_LATER = "nothing was changed; try again later, or check the address and the network"


def fetch(declared: Sql, since: dict[str, Any] | None, spool: Spool, place: str) -> None:
    """Bring rows into `spool`: those whose cursor is not below `since`, or all of them where it is None.

    The source's largest cursor is left in `spool.state`. Raises InputError when the database refuses, or its largest
    cursor is below `since`; MachineError when it does not answer.
    """
    from sqlalchemy.exc import SQLAlchemyError

    secrets = [secret_of(name, place) for name in (declared.url_env, declared.password_env) if name]
    engine = _engine(declared, secrets, place)
    try:
        with _reading(engine) as connection:
            _Reader(declared, connection, spool, place).read(since)
    except SQLAlchemyError as error:
        raise _explained(error, [*secrets, engine.url.password or ""], place) from None
    finally:
        engine.dispose()


class _Reader:
    def __init__(self, declared: Sql, connection: "Connection", spool: Spool, place: str) -> None:
        self._cursor, self._key = declared.cursor, key_of(declared)
        self._connection, self._spool, self._place = connection, spool, place
        # Behind a line end: the query may end in a comment.
        self._rows = self._table(declared.table) if declared.table else f"({_select_of(declared.query or '')}\n)"

    def read(self, since: dict[str, Any] | None) -> None:
        spool = self._spool
        # A resumed refresh keeps the cursor it began with: what changed in between is read by the next one.
        if "largest" not in spool.state:
            spool.state = {"largest": self._largest(since)}
        if since is not None and spool.state["largest"] is None:
            self._check_no_rows(since)
            return  # the source has no rows: whether that is meant, the caller decides
        result = self._connection.execute(self._select(since, spool.state.get("last")))
        self._check_columns(list(result.keys()))
        before = [unpacked(value) for value in spool.state.get("last", [])]
        for rows in result.mappings().partitions():
            kept = [dict(row) for row in rows]
            last = kept[-1]
            # The row where the refresh was stopped comes again: others with its key, if there are any, come with it.
            again = next((row for row in kept if [row[column] for column in self._key] == before), None)
            if again is not None:
                kept.remove(again)
                before = []
            spool.add(kept, None)
            key = [packed(last[column], self._place) for column in self._key]
            spool.add([], spool.state | {"last": key})

    def _largest(self, since: dict[str, Any] | None) -> dict[str, Any] | None:
        if self._cursor is None:
            return None
        column = self._quote(self._cursor)
        largest = self._connection.execute(_text(f"SELECT max({column}) FROM {self._rows} AS source_rows")).scalar()  # noqa: S608
        if largest is None:
            return None
        if since is not None:
            self._check_forward(largest, unpacked(since))
        return packed(largest, self._place)

    def _check_no_rows(self, since: dict[str, Any]) -> None:
        row = self._connection.execute(_text(f"SELECT 1 FROM {self._rows} AS source_rows LIMIT 1")).first()  # noqa: S608
        if row is not None:
            problem = f"no row has a value in {self._cursor!r} any more, the snapshot ends at {unpacked(since)}"
            raise InputError(problem, place=f"{self._place}.cursor", remedy="read everything again with --full")

    def _check_forward(self, largest: Any, since: Any) -> None:
        where = f"{self._place}.cursor"
        try:
            back = largest < since
        except TypeError:
            problem = f"the column {self._cursor!r} changed its type: {largest!r}, the snapshot ends at {since!r}"
            remedy = "read everything again with --full"
            raise InputError(problem, place=where, remedy=remedy) from None
        if back:
            problem = f"the largest {self._cursor!r} of the source is {largest}, the snapshot ends at {since}"
            remedy = "was the database restored from a backup? `--full` reads everything again"
            raise InputError(problem, place=where, remedy=remedy)

    def _select(self, since: dict[str, Any] | None, last: list[dict[str, Any]] | None) -> "TextClause":
        names = [self._quote(column) for column in self._key]
        conditions, values = [], {}
        if since is not None:
            column = self._quote(self._cursor or "")
            # What has no value there can change without being seen: it is read each time.
            conditions.append(f"({column} >= :since OR {column} IS NULL)")
            values["since"] = unpacked(since)
        if last is not None:
            values |= {f"last_{number}": unpacked(value) for number, value in enumerate(last)}
            bound = ", ".join(f":last_{number}" for number in range(len(last)))
            further = f"({', '.join(names)}) >= ({bound})" if len(names) > 1 else f"{names[0]} >= {bound}"
            # A row without a key is an error, wherever the database puts it.
            conditions.append(f"({' OR '.join([further, *(f'{name} IS NULL' for name in names)])})")
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        return _text(f"SELECT * FROM {self._rows} AS source_rows{where} ORDER BY {', '.join(names)}", values)  # noqa: S608

    def _check_columns(self, columns: Sequence[str]) -> None:
        missing = next((column for column in (*self._key, self._cursor) if column and column not in columns), None)
        if missing is not None:
            problem = f"no column {missing!r} in the result"
            raise InputError(problem, place=self._place, remedy=f"its columns are {listed(columns)}")
        self._spool.expect(columns)

    def _quote(self, name: str) -> str:
        # Not quote_identifier: it doubles a percent sign, and `text` would do so again.
        preparer = self._connection.dialect.identifier_preparer
        closing = preparer.final_quote
        return _literal(f"{preparer.initial_quote}{name.replace(closing, closing * 2)}{closing}")

    def _table(self, name: str) -> str:
        return ".".join(self._quote(part) for part in name.split("."))


def _engine(declared: Sql, secrets: list[str], place: str) -> "Engine":
    from sqlalchemy import create_engine, make_url
    from sqlalchemy.exc import ArgumentError
    from sqlalchemy.pool import NullPool

    where = f"{place}.url_env" if declared.url_env else f"{place}.url"
    try:
        url = make_url(declared.url or secrets[0])
    except ArgumentError:
        problem, remedy = "not a URL of SQLAlchemy", "write it as postgresql://user@host/database"
        raise InputError(problem, place=where, remedy=remedy) from None
    if declared.password_env:
        url = url.set(password=secrets[0])
    kind = url.get_backend_name()
    if kind == "sqlite":
        # A read-only connection: a file that is not there is not made either.
        url = url.set(database=f"file:{url.database}", query={"mode": "ro", "uri": "true"})
        return create_engine(url, poolclass=NullPool)
    if kind not in _DRIVERS:
        problem = f"a database of kind {kind!r}"
        raise InputError(problem, place=where, remedy="postgresql, mysql, mariadb and sqlite can be read")
    url = url.set(drivername=_DRIVERS[kind])
    return create_engine(url, poolclass=NullPool, connect_args={"connect_timeout": CONNECT_SECONDS})


@contextlib.contextmanager
def _reading(engine: "Engine") -> Iterator["Connection"]:
    options: dict[str, Any] = {"stream_results": True, "yield_per": STREAMED_ROWS}
    if engine.dialect.name == "postgresql":
        options |= {"postgresql_readonly": True, "isolation_level": "REPEATABLE READ"}
    with engine.connect().execution_options(**options) as connection:
        if engine.dialect.name in ("mysql", "mariadb"):
            connection.exec_driver_sql("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            connection.rollback()
        elif engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN")
        yield connection


def _text(statement: str, values: dict[str, Any] | None = None) -> "TextClause":
    from sqlalchemy import bindparam, text
    from sqlalchemy.types import NullType

    # Without a type, the database compares a value as what the column is; SQLAlchemy would cast it to what it guesses.
    bound = [bindparam(name, value, type_=NullType()) for name, value in (values or {}).items()]
    return text(statement).bindparams(*bound)


def _select_of(query: str) -> str:
    return _literal(query.strip().rstrip(";").rstrip())


def _literal(sql: str) -> str:
    # A colon does not begin a parameter of ours in here.
    return re.sub(r"(?<!:):(?=\w)", r"\\:", sql)


def _explained(error: "SQLAlchemyError", secrets: list[str], place: str) -> InputError | MachineError:
    from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

    message = without_secrets(getattr(error, "orig", None) or error, secrets)
    lost = isinstance(error, DBAPIError) and error.connection_invalidated
    unreachable = isinstance(error, InterfaceError | OperationalError)
    if isinstance(getattr(error, "orig", None), sqlite3.Error):
        # SQLite's operational errors are nearly all of the statement.
        unreachable = any(words in message for words in ("unable to open", "locked", "disk I/O"))
    if lost or unreachable:
        return MachineError(f"cannot read the database: {message}", place=place, remedy=_LATER)
    remedy = "nothing was changed; correct the table or query, or what the account may read"
    return InputError(f"the database refuses: {message}", place=place, remedy=remedy)
