"""The secret key of surrogates, and its fingerprint.

The key comes from the environment alone; params.yaml names its fingerprint, so that a commit says which key made its
rows without telling it. Reads the mapping it is given; never prints a key, nor puts one into an error.
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping

from tunegate.errors import InputError

VARIABLE = "TUNEGATE_PSEUDONYM_KEY"
LEAST = 32
"""Characters. All telephone numbers can be tried one by one: only the key hides which one a surrogate stands for."""
_PURPOSE = b"tunegate pseudonym key"
_REMEDY = "`tunegate data key --new` makes one; store it as a secret, it belongs in no file of the repository"


def read_key(environment: Mapping[str, str]) -> bytes | None:
    """The key in `environment`; None without one. Raises InputError for one that is too short to keep a secret."""
    key = environment.get(VARIABLE, "").strip()
    if not key:
        return None
    if len(key) < LEAST:
        problem = f"the key has {len(key)} characters; fewer than {LEAST} can be guessed"
        raise InputError(problem, place=f"environment: {VARIABLE}", remedy=_REMEDY)
    return key.encode()


def fingerprint(key: bytes) -> str:
    """16 hexadecimal digits that tell `key` from others and do not tell `key`."""
    return hmac.new(key, _PURPOSE, hashlib.sha256).hexdigest()[:16]


def new_key() -> str:
    """A fresh random key of 256 bits, in letters and digits."""
    return secrets.token_hex(32)


def checked_key(key: bytes | None, wanted: str | None, *, place: str) -> bytes:
    """`key`, when its fingerprint is `wanted`. Raises InputError without a key, a fingerprint, or with another key."""
    if key is None:
        problem = f"surrogates are made with a secret key, and {VARIABLE} is not set"
        raise InputError(problem, place=place, remedy=f"set {VARIABLE}; {_REMEDY}")
    found = fingerprint(key)
    if wanted is None:
        problem = f"missing: the key in {VARIABLE} has the fingerprint {found}"
        raise InputError(problem, place=place, remedy="write the fingerprint there, in quotes")
    if found != wanted:
        problem = f"{wanted} is not the fingerprint of the key in {VARIABLE} ({found})"
        remedy = f"set {VARIABLE} to the key of that fingerprint; for another key, write its fingerprint there"
        raise InputError(problem, place=place, remedy=remedy)
    return key
