"""Where Optuna keeps its study: a journal beside the records of trials, or a PostgreSQL database that machines share.

Writes `.tunegate/search/<name>/`: journal.log, and a lock so that only one process at a time searches there. A password
comes from the environment (PGPASSWORD) or from libpq's password file, never from a URL, which every list of
processes shows.
"""

import contextlib
import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tunegate.errors import MachineError, RefusedError, UsageError
from tunegate.experiments.declaration import Search
from tunegate.files import STATE
from tunegate.locks import file_lock
from tunegate.repository.lineage import digest

FOLDER = STATE / "search"
DEFINITION = "tunegate.definition"
_JOURNAL = "journal.log"


@contextlib.contextmanager
def search_lock(folder: Path) -> Iterator[None]:
    """Hold the folder of the search. Raises MachineError when another process on this machine searches there."""
    remedy = "wait for it, or search under another --name"
    with file_lock(folder / ".lock", "another process searches here", place=str(folder), remedy=remedy):
        yield


@contextlib.contextmanager
def open_study(search: Search, name: str, commit: str, folder: Path, url: str = "") -> Iterator[Any]:
    """The Optuna study of a search, new or as it was left; the caller holds `folder`.

    Raises RefusedError with the differences when it was begun with something else: its trials would not compare.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.ERROR)
    with warnings.catch_warnings(), _storage_errors(url):
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study = optuna.create_study(
            storage=_storage(folder / _JOURNAL, url),
            study_name=f"tunegate/{name}",
            directions=[objective.direction for objective in search.objectives],
            load_if_exists=True,
        )
        _require_same(study, search.definition(commit), name)
        yield study


@contextlib.contextmanager
def sampling_lock(study: Any) -> Iterator[None]:
    """Keep other machines at the same database from adding trials: a trial's values depend on those before it.

    A journal needs no lock: this process holds its folder.
    """
    engine = getattr(getattr(study._storage, "_backend", None), "engine", None)
    if engine is None:
        yield
        return
    with engine.connect() as connection:
        # Held by the transaction: it ends with the block, and with the process.
        key = int(digest(study.study_name)[:15], 16)
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (key,))
        yield


def _require_same(study: Any, definition: dict[str, Any], name: str) -> None:
    old = study.user_attrs.get(DEFINITION)
    if old is None:
        study.set_user_attr(DEFINITION, definition)
        return
    # As JSON both times: what a database returns has no tuples.
    new = json.loads(json.dumps(definition))
    keys = [key for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)]
    if keys:
        problem = "begun as another search:\n  " + "\n  ".join(f"{k}: {old.get(k)} → {new.get(k)}" for k in keys)
        raise RefusedError(problem, place=f"search {name}", remedy="take another --name, or restore what changed")


def _storage(journal: Path, url: str) -> Any:
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend

    if not url:
        _repair_journal(journal)
        return JournalStorage(JournalFileBackend(str(journal)))
    return RDBStorage(_address(url), engine_kwargs={"pool_pre_ping": True})


def _address(url: str) -> str:
    try:
        parts = urlsplit(url)
        is_postgresql, has_password = parts.scheme in ("postgresql", "postgres"), bool(parts.password)
    except ValueError:
        is_postgresql, has_password = False, False
    if has_password:
        remedy = "leave it out, and export PGPASSWORD=… instead"
        raise UsageError("every list of processes shows a password in the URL", place="--storage", remedy=remedy)
    if not is_postgresql:
        remedy = "postgresql://user@host/database, or leave it out for a journal in .tunegate/search"
        raise UsageError("not the URL of a PostgreSQL database", place="--storage", remedy=remedy)
    return "postgresql+psycopg://" + url.partition("://")[2]


def _repair_journal(journal: Path) -> None:
    """Remove an unfinished line or a lock that a killed process left; no other process writes here."""
    for leftover in journal.parent.glob(f"{journal.name}.lock*"):
        leftover.unlink()
    if not journal.exists():
        return
    with journal.open("r+b") as stream:
        content = stream.read()
        stream.truncate(content.rfind(b"\n") + 1)


@contextlib.contextmanager
def _storage_errors(url: str) -> Iterator[None]:
    """Turn a database's errors into a MachineError, which names the host and not the URL."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (StorageInternalError, SQLAlchemyError) as error:
        cause = error.__cause__ or error
        message = str(getattr(cause, "orig", None) or cause).strip().splitlines()[0]
        place = f"--storage {urlsplit(url).hostname or 'postgresql'}" if url else _JOURNAL
        remedy = "is the server there, and PGPASSWORD set? Finished trials are kept: run the same command again"
        raise MachineError(message, place=place, remedy=remedy) from None
