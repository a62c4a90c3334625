"""Secrets come from the environment, are named when they are missing, and appear in no error.

Reads environment variables. Does not know what a secret opens.
"""

import os
import re
import urllib.parse
from collections.abc import Iterable

from tunegate.errors import InputError

_IN_URL = re.compile(r"(?<=://)[^\s/]+@")
_HIDDEN = "***"


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


def scrubbed(error: object, secrets: Iterable[str]) -> str:
    """The first line of an error's text, without any of `secrets` and without a password in a URL."""
    text = str(error).strip()
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        for form in (secret, urllib.parse.quote(secret, safe=""), urllib.parse.quote_plus(secret)):
            text = text.replace(form, _HIDDEN)
    line = next(iter(text.splitlines()), "") or type(error).__name__
    return _IN_URL.sub(f"{_HIDDEN}@", line)
