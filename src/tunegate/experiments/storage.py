"""Where the choice of trials is kept: a journal beside the trials, or a PostgreSQL database that machines share.

Writes `.tunegate/search/<name>/`: journal.log, and a lock so that only one process at a time searches there. A password
comes from the environment (PGPASSWORD) or from libpq's password file, never from a URL: a URL is seen by who lists
processes. Does not know what a trial is.
"""

import contextlib
import fcntl
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
from tunegate.repository.lineage import digest

FOLDER = STATE / "search"
DEFINITION = "tunegate.definition"
_JOURNAL = "journal.log"


@contextlib.contextmanager
def sole_searcher(folder: Path) -> Iterator[None]:
    """Hold the search's folder. Raises MachineError when another process on this machine searches there."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            remedy = "wait for it, or search under another --name"
            raise MachineError("another process searches here", place=str(folder), remedy=remedy) from None
        yield


@contextlib.contextmanager
def open_study(search: Search, name: str, commit: str, folder: Path, url: str = "") -> Iterator[Any]:
    """The Optuna study of a search, new or as it was left; the caller holds `folder`.

    Raises RefusedError with the differences when it was begun with something else: its trials would not compare.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.ERROR)
    with warnings.catch_warnings(), _reaching(url):
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
def choosing_alone(study: Any) -> Iterator[None]:
    """Keep other machines at the same database from choosing: what a trial gets depends on those before it.

    A journal is this process's alone, as its folder is.
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
    known = study.user_attrs.get(DEFINITION)
    if known is None:
        study.set_user_attr(DEFINITION, definition)
        return
    # As JSON both times: what a database gives back has no tuples.
    old, new = known, json.loads(json.dumps(definition))
    keys = [key for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)]
    if keys:
        problem = "begun as another search:\n  " + "\n  ".join(f"{k}: {old.get(k)} → {new.get(k)}" for k in keys)
        raise RefusedError(problem, place=f"search {name}", remedy="take another --name, or restore what changed")


def _storage(journal: Path, url: str) -> Any:
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend

    if not url:
        _mend(journal)
        return JournalStorage(JournalFileBackend(str(journal)))
    return RDBStorage(_address(url), engine_kwargs={"pool_pre_ping": True})


def _address(url: str) -> str:
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("postgresql", "postgres")
        secret = bool(parts.password)
    except ValueError:
        known, secret = False, False
    if secret:
        remedy = "leave it out, and export PGPASSWORD=… instead"
        raise UsageError("a password in the URL is seen by whoever lists processes", place="--storage", remedy=remedy)
    if not known:
        remedy = "postgresql://user@host/database, or leave it out for a journal in .tunegate/search"
        raise UsageError("not the URL of a PostgreSQL database", place="--storage", remedy=remedy)
    return "postgresql+psycopg://" + url.partition("://")[2]


def _mend(journal: Path) -> None:
    """Undo what a kill left of a line or a lock; nobody else writes here."""
    for left in journal.parent.glob(f"{journal.name}.lock*"):
        left.unlink()
    if not journal.exists():
        return
    with journal.open("r+b") as stream:
        content = stream.read()
        stream.truncate(content.rfind(b"\n") + 1)


@contextlib.contextmanager
def _reaching(url: str) -> Iterator[None]:
    """Turn what a database says into a MachineError; the URL has no secret, and is not shown all the same."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (StorageInternalError, SQLAlchemyError) as error:
        cause = error.__cause__ or error
        said = str(getattr(cause, "orig", None) or cause).strip().splitlines()[0]
        place = f"--storage {urlsplit(url).hostname or 'postgresql'}" if url else _JOURNAL
        remedy = "is the server there, and PGPASSWORD set? What was measured is kept: run the same again"
        raise MachineError(said, place=place, remedy=remedy) from None
