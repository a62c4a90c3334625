"""Texts for people: names that are near, the first of many, names as words, long texts cut, secrets taken out."""

import difflib
import re
import urllib.parse
from collections.abc import Iterable

_USER_IN_URL = re.compile(r"(?<=://)[^\s/]+@")
_LONGEST_TEXT = 280


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the known name nearest to `name`, or nothing when none is near."""
    folded = {candidate.casefold(): candidate for candidate in known}
    near = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.5)
    return f"; did you mean {folded[near[0]]!r}?" if near else ""


def listed(names: Iterable[str], limit: int = 12) -> str:
    """The first `limit` of `names` in one line, and how many more there are."""
    every = list(names)
    more = f" and {len(every) - limit} more" if len(every) > limit else ""
    return ", ".join(every[:limit]) + more


def words(name: str) -> str:
    """A name as words: `question_also_in_test` becomes `question also in test`."""
    return name.replace("_", " ")


def short(text: str, most: int = _LONGEST_TEXT) -> str:
    """The text, cut to `most` characters."""
    return text if len(text) <= most else text[: most - 1] + "…"


def without_secrets(error: object, secrets: Iterable[str]) -> str:
    """The first line of an error's text, with `***` for each of `secrets` and for a user and password in a URL."""
    text = str(error).strip()
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        for form in (secret, urllib.parse.quote(secret, safe=""), urllib.parse.quote_plus(secret)):
            text = text.replace(form, "***")
    line = next(iter(text.splitlines()), "") or type(error).__name__
    return _USER_IN_URL.sub("***@", line)
