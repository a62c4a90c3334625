"""Secrets in rows: private keys, tokens of clouds and forges, addresses with a password, passwords that are assigned.

Tokens are recognised by the prefix that their issuer gave them, passwords by the word before them and by looking
random: `password: changeme`, `token = os.environ["X"]` and "the password must have 8 characters" are not secrets. Every
pattern is bounded: the time is linear in the text. A bare random string is not found. What is returned names the sort
of a secret, never the secret.
"""

import math
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from tunegate.data.preparation.spans import first_come, replaced
from tunegate.data.rows import Row, with_texts

Action = Literal["keep", "drop", "mask"]

# In the syntax that Python's re and Arrow's RE2 share.
SCREEN = (
    r"-----BEGIN|A[KS]IA[A-Z2-7]|gh[pousr]_|github_pat_|gl[a-z]{2,5}-|xox[a-z]-|xapp-|hooks\.slack|[sr]k_(?:live|test)_"
    r"|whsec_|sk-[A-Za-z0-9]|hf_[A-Za-z]|npm_[A-Za-z0-9]|pypi-A|AIza|GOCSPX-|SG\.|eyJ[A-Za-z0-9]|dop_v1_"
    r"|AGE-SECRET|:AA|://[^\s/:@]{0,128}:[^\s/@]{1,256}@"
    r"|(?i:pass ?w|pwd|pass ?phrase|secret|token|api.?key|access.?key|account.?key|private.?key|l\x{f6}sen)"
)
"""What every text with something to find matches, and few others do: RE2 syntax."""
_SCREEN = re.compile(SCREEN.replace(r"\x{f6}", "\u00f6"))

_TOKENS = {
    "private_key": r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----|AGE-SECRET-KEY-1[0-9A-Z]{58}",
    "aws_key": r"(?<!\w)A[KS]IA[A-Z2-7]{16}(?!\w)",
    "github_token": r"(?<!\w)(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255})(?!\w)",
    "gitlab_token": r"(?<!\w)gl(?:pat|dt|rt|rtr|cbt|ptt|ft|soat|agent|imt|oas|ffct)-[\w-]{20,255}",
    "slack_token": r"(?<!\w)(?:xox[a-z]-|xapp-)[A-Za-z0-9-]{10,255}"
    r"|https://hooks\.slack\.com/(?:services|workflows)/[\w/+-]{20,255}",
    "stripe_key": r"(?<!\w)(?:[sr]k_(?:live|test)_[A-Za-z0-9]{16,255}|whsec_[A-Za-z0-9+/=]{24,255})",
    "model_key": r"(?<![\w-])(?:sk-[A-Za-z0-9_-]{20,255}|hf_[A-Za-z]{30,60})(?!\w)",
    "registry_token": r"(?<!\w)(?:npm_[A-Za-z0-9]{36}|pypi-A[\w-]{50,500})(?!\w)",
    "google_key": r"(?<!\w)(?:AIza[\w-]{35}|GOCSPX-[\w-]{20,60})(?!\w)",
    "sendgrid_key": r"(?<!\w)SG\.[\w-]{16,64}\.[\w-]{16,64}",
    "telegram_token": r"(?<!\w)[0-9]{8,10}:AA[\w-]{33}(?!\w)",
    "digitalocean_token": r"(?<!\w)dop_v1_[0-9a-f]{64}",
    "jwt": r"(?<!\w)eyJ[\w-]{10,4000}\.eyJ[\w-]{10,8000}\.[\w-]{10,2000}",
}
_TOKEN = re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in _TOKENS.items()))
_KEY_END = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_LONGEST_KEY = 12_000
_LONGEST_LAST_LINE = 80
_URL = re.compile(r"(?<![\w+.-])[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s/:@]{0,128}:(?P<value>[^\s/@]{1,256})@[\w\[]")
_ASSIGNED = re.compile(
    r"(?i:pass ?word|passwd|pwd|pass ?phrase|secret|token|api[ _-]?key|access[ _-]?key|account[ _-]?key|secret[ _-]?key"
    r"|private[ _-]?key|l\u00f6senord(?:et)?|losenord)(?:[_-][\w-]{0,20}|s|[0-9]{0,3})[\"']?"
    r"\s{0,3}(?::=|=>|[:=]|\bis\b|\b\u00e4r\b)\s{0,3}"
    r"(?:[\"'`](?P<quoted>[^\s\"'`]{8,256})[\"'`]|(?P<bare>[^\s\"'`,;<>]{8,256}))"
)
_PLACEHOLDER = re.compile(
    r"example|sample|change.?me|your|dummy|placeholder|redacted|masked|xxx|\*\*\*|\.\.\.|\u2026|^<|^\[|^\$|^%|\{|^--"
    r"|^(?:pass(?:word|wd)?|pwd|secret|token|user|pw|s3cret|none|null|true|false|env|test)(?:$|[^A-Za-z0-9])",
    re.IGNORECASE,
)
_CODE = re.compile(
    r"[a-z_][\w.]*[(\[].*|(?:[~.]{0,2}/|[a-z+]{2,12}://)\S*|[a-z0-9_.-]+(?:/[a-z0-9_.-]+)+|[a-z]+(?:_[a-z0-9]+)+"
    r"|(?:self|this|args|cfg|config|settings|params|process|os|ctx)\.[\w.]+|[A-Z]{2,6}-?[0-9]+-[a-z]+"
)
"""A call, a path, a name, an algorithm: what else stands after `token =` and has digits or signs."""
_LEAST_BITS = 2.7
"""Shannon entropy of a password's characters, in bits each: below it they repeat, or are a word."""


class Secret(NamedTuple):
    """Where a secret stands in a text, and its sort."""

    start: int
    end: int
    sort: str


def may_concern(text: str) -> bool:
    """Whether `treat` may find something in `text`: cheap, and never False where it does."""
    return _SCREEN.search(text) is not None


def concerns(texts: Any) -> Any:
    """`may_concern` of every text of an Arrow array of strings, as an array of booleans; null is False."""
    import pyarrow.compute

    return pyarrow.compute.fill_null(pyarrow.compute.match_substring_regex(texts, SCREEN), False)


def treat(row: Row, action: Action) -> tuple[Row | None, list[str]]:
    """`row` with its secrets masked; None when it has some and is dropped; and what was found, without its values."""
    counts: Counter[str] = Counter()

    def treated(text: str) -> str:
        secrets = find(text)
        counts.update(secret.sort for secret in secrets)
        return replaced(text, secrets, lambda _: "[SECRET]") if action == "mask" else text

    row = with_texts(row, treated)
    word = "masked" if action == "mask" else "found"
    changes = sorted(f"{word}: {sort} x{count}" if count > 1 else f"{word}: {sort}" for sort, count in counts.items())
    if counts and action == "drop":
        return None, changes
    return row, changes


def find(text: str) -> list[Secret]:
    """The secrets in `text`, in order; no two overlap."""
    if not may_concern(text):
        return []
    return first_come([*_tokens(text), *_in_addresses(text), *_assigned(text)], len(text))


def _tokens(text: str) -> Iterator[Secret]:
    key_ends: list[int] | None = None
    done = 0
    for match in _TOKEN.finditer(text):
        sort = str(match.lastgroup)
        if match.start() < done:
            continue
        if match[0].startswith("-----"):
            if key_ends is None:
                key_ends = [end.end() for end in _KEY_END.finditer(text)]
            done = _end_of_key(text, match.end(), key_ends)
            yield Secret(match.start(), done, sort)
            continue
        # A style sheet's class may begin with sk-, and manuals print AKIA...EXAMPLE.
        mixed = sort != "model_key" or len({_sign(character) for character in match[0][3:]} - {"sign"}) > 1
        if mixed and not (sort != "private_key" and _PLACEHOLDER.search(match[0])):
            yield Secret(match.start(), match.end(), sort)


def _end_of_key(text: str, start: int, ends: list[int]) -> int:
    """Where the private key ends whose first line ends at `start`: at its last line, or before the next dash."""
    place = bisect_left(ends, start + 1)
    limit = start + _LONGEST_KEY
    if place < len(ends) and ends[place] <= limit + _LONGEST_LAST_LINE:
        return ends[place]
    dash = text.find("-", start, limit)
    return min(limit, len(text)) if dash < 0 else dash


def _in_addresses(text: str) -> Iterator[Secret]:
    for match in _URL.finditer(text):
        if not _PLACEHOLDER.search(match["value"]):
            yield Secret(*match.span("value"), "url_password")


def _assigned(text: str) -> Iterator[Secret]:
    for match in _ASSIGNED.finditer(text):
        name = "quoted" if match["quoted"] else "bare"
        value = match[name].rstrip(".)]}\\")
        if looks_random(value):
            yield Secret(match.start(name), match.start(name) + len(value), "password")


def looks_random(value: str) -> bool:
    """Whether `value`, assigned to a password, is one: letters with digits or signs, no placeholder, no code."""
    letters = [character for character in value if character.isalpha()]
    others = {_sign(character) for character in value} - {"lower", "upper"}
    if len(value) < 8 or not letters or not others or _PLACEHOLDER.search(value):
        return False
    if others == {"sign"} and not re.search(r"[!@#$%^&*+=~?]", value):
        return False
    return not _CODE.fullmatch(value) and _bits(value) >= _LEAST_BITS


def _sign(character: str) -> str:
    if character.isdigit():
        return "digit"
    return ("upper" if character.isupper() else "lower") if character.isalpha() else "sign"


def _bits(value: str) -> float:
    shares = [count / len(value) for count in Counter(value).values()]
    return -sum(share * math.log2(share) for share in shares)
