"""The connection to MLflow: which store, quietly, bounded in time, and without its secrets in any message.

`MLFLOW_TRACKING_URI` names the store; without it, it is `mlflow.db` in the working copy, with artifacts in `mlruns/`
beside it.
"""

import contextlib
import logging
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from tunegate.errors import MachineError, TunegateError

LOCAL = "sqlite:///mlflow.db"
"""The default store, as people write it for `mlflow ui`."""

# MLflow's own defaults are 120 s and 7 retries: minutes of silence when a server does not answer.
_SETTINGS = {
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
_REMEDY = "check MLFLOW_TRACKING_URI and that its server runs"


class _OutOfTime(BaseException):
    """Not an Exception, so that no `except Exception` in a library swallows it."""


def tracking_uri() -> str:
    """The store's URI. May hold secrets: show only `public(tracking_uri())`."""
    named = os.environ.get("MLFLOW_TRACKING_URI", "").strip()
    return named or f"sqlite:///{Path('mlflow.db').absolute()}"


def public(text: str) -> str:
    """`text` with user names, passwords and query strings of all URIs in it masked."""
    # Greedy up to the last @ before a space or slash: a password may itself contain an @.
    text = re.sub(r"(://)[^\s/]+@", r"\1***@", text)
    return re.sub(r"(://[^\s?]+\?)[^\s'\")]+", r"\1***", text)


def store_name() -> str:
    """The store as shown to people: without secrets, and short for the default one."""
    return public(tracking_uri()) if os.environ.get("MLFLOW_TRACKING_URI", "").strip() else LOCAL


def connect() -> Any:
    """An `MlflowClient` of the store; creates the default store when it does not exist. Logs only errors."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    for logger in ("mlflow", "alembic", "urllib3"):
        logging.getLogger(logger).setLevel(logging.ERROR)
    registry = os.environ.get("MLFLOW_REGISTRY_URI", "").strip() or tracking_uri()
    return MlflowClient(tracking_uri=tracking_uri(), registry_uri=registry)


@contextlib.contextmanager
def store_errors(*, seconds: float | None) -> Iterator[None]:
    """Turn every failure of the store into a MachineError without secrets; give up after `seconds`.

    A store in a local file has no time limit: it is always there, and stopping its creation half way would break it.
    """
    limit = None if tracking_uri().startswith("sqlite:") else seconds
    try:
        with _deadline(limit):
            yield
    except _OutOfTime:
        raise MachineError(f"no answer within {seconds:g} s", place=store_name(), remedy=_REMEDY) from None
    except TunegateError:
        raise
    except Exception as error:
        # Every store, proxy and artifact plug-in has exceptions of its own; and a chained one would show the URI.
        reason = public(str(error) or type(error).__name__).splitlines()[0]
        raise MachineError(reason, place=store_name(), remedy=_REMEDY) from None


@contextlib.contextmanager
def _deadline(seconds: float | None) -> Iterator[None]:
    if seconds is None:
        yield
        return
    before = signal.signal(signal.SIGALRM, _out_of_time)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _out_of_time(_number: int, _frame: FrameType | None) -> None:
    raise _OutOfTime
