"""Texts for people: near names, the first of many, long texts cut, texts made safe to print, secrets taken out."""

import difflib
import json
import re
import unicodedata
import urllib.parse
from collections.abc import Iterable

_USER_IN_URL = re.compile(r"(?<=://)[^\s/]+@")
_LONGEST_TEXT = 280


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the name nearest to `name`, whatever its case, or nothing when none is near."""
    folded = {candidate.casefold(): candidate for candidate in names}
    near = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.5)
    return f"; did you mean {folded[near[0]]!r}?" if near else ""


def listed(names: Iterable[str], limit: int = 12, *, count: int | None = None) -> str:
    """The first `limit` of `names` in one line, and how many more there are.

    `count` is how many there are in all, where `names` are only the first of them.
    """
    items = list(names)
    rest = (len(items) if count is None else count) - min(limit, len(items))
    return ", ".join(items[:limit]) + (f" and {rest:,} more" if rest > 0 else "")


def words(name: str) -> str:
    """A name as words: `question_also_in_test` becomes `question also in test`."""
    return name.replace("_", " ")


def short(text: str, limit: int = _LONGEST_TEXT) -> str:
    """The text, cut to `limit` characters."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def visible(text: str, *, keep: str = "\n\t") -> str:
    r"""`text` with control characters as JSON writes them (`\u001b`), except for those in `keep`.

    Unescaped, a name or a text from a file could write elsewhere on the terminal, or reverse the reading direction.
    """
    return "".join(json.dumps(char)[1:-1] if _is_control(char) and char not in keep else char for char in text)


def without_secrets(error: object, secrets: Iterable[str]) -> str:
    """The first line of an error's text, with `***` for each of `secrets` and for a user and password in a URL."""
    text = str(error).strip()
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        for form in (secret, urllib.parse.quote(secret, safe=""), urllib.parse.quote_plus(secret)):
            text = text.replace(form, "***")
    line = next(iter(text.splitlines()), "") or type(error).__name__
    return _USER_IN_URL.sub("***@", line)


def _is_control(char: str) -> bool:
    return not char.isprintable() and unicodedata.category(char) != "Zs"  # no-break spaces and the like are harmless
