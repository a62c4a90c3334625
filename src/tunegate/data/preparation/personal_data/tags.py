"""Tags that stand for personal data: the same tag for the same value, and only with the secret key can one be made.

A tag is the kind and the first 8 hexadecimal digits of the HMAC-SHA256 (RFC 2104) of kind and normalised value,
`[EMAIL_1f0c92d3]`. The key comes from the environment alone; params.yaml has its fingerprint, so that a commit names
the key that its rows were tagged with without revealing it. No key is ever part of an error.
"""

import hmac
from collections.abc import Mapping

from tunegate.data.preparation.personal_data.rules import Span
from tunegate.errors import InputError

VARIABLE = "TUNEGATE_PSEUDONYM_KEY"
MIN_KEY_LENGTH = 32
"""Characters. All telephone numbers can be tried one by one: only the key hides which one a tag stands for."""
_PURPOSE = "tunegate pseudonym key"
_REMEDY = "`openssl rand -hex 32` makes a key; store it as a secret, it belongs in no file of the repository"


def tag(span: Span, key: bytes) -> str:
    """The tag of the value at `span`."""
    digits = _hmac(key, f"{span.kind}\0{span.normal}")[:8]
    return f"[{span.kind.upper()}_{digits}]"


def read_key(environment: Mapping[str, str]) -> bytes | None:
    """The key in `environment`; None without one. Raises InputError for one that is too short to be a secret."""
    key = environment.get(VARIABLE, "").strip()
    if not key:
        return None
    if len(key) < MIN_KEY_LENGTH:
        problem = f"the key has {len(key)} characters; fewer than {MIN_KEY_LENGTH} can be guessed"
        raise InputError(problem, place=f"environment: {VARIABLE}", remedy=_REMEDY)
    return key.encode()


def fingerprint(key: bytes) -> str:
    """16 hexadecimal digits that distinguish `key` from others and do not reveal it."""
    return _hmac(key, _PURPOSE)[:16]


def check_key(key: bytes | None, expected: str | None, *, place: str) -> bytes:
    """`key`, when its fingerprint is `expected`. Raises InputError without key or fingerprint, and for another key."""
    if key is None:
        problem = f"tags are made with a secret key, and {VARIABLE} is not set"
        raise InputError(problem, place=place, remedy=f"set {VARIABLE}; {_REMEDY}")
    actual = fingerprint(key)
    if expected is None:
        problem = f"missing: the key in {VARIABLE} has the fingerprint {actual}"
        raise InputError(problem, place=place, remedy=f'write the fingerprint there: key: "{actual}"')
    if actual != expected:
        problem = f"{expected} is not the fingerprint of the key in {VARIABLE} ({actual})"
        remedy = f"set {VARIABLE} to the key of that fingerprint; for another key, write its fingerprint there"
        raise InputError(problem, place=place, remedy=remedy)
    return key


def _hmac(key: bytes, text: str) -> str:
    return hmac.digest(key, text.encode("utf-8", "surrogatepass"), "sha256").hex()
