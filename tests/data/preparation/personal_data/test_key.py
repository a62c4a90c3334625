import hashlib
import hmac

import pytest

from tunegate.data.preparation.personal_data.key import checked_key, fingerprint, new_key, read_key
from tunegate.errors import InputError


def test_the_fingerprint_is_sixteen_digits_of_the_keyed_hash_of_its_purpose() -> None:
    assert fingerprint(b"k" * 40) == hmac.new(b"k" * 40, b"tunegate pseudonym key", hashlib.sha256).hexdigest()[:16]


def test_a_new_key_is_long_enough_and_never_the_same() -> None:
    keys = {new_key() for _ in range(5)}
    assert len(keys) == 5
    assert all(read_key({"TUNEGATE_PSEUDONYM_KEY": key}) == key.encode() for key in keys)


def test_no_key_is_none_and_a_short_one_is_refused_without_being_shown() -> None:
    assert read_key({}) is None
    assert read_key({"TUNEGATE_PSEUDONYM_KEY": " \n"}) is None
    with pytest.raises(InputError, match="the key has 6 characters") as caught:
        read_key({"TUNEGATE_PSEUDONYM_KEY": "s3cret"})
    assert "s3cret" not in str(caught.value)


def test_the_key_of_the_fingerprint_is_given_back() -> None:
    assert checked_key(b"k" * 40, fingerprint(b"k" * 40), place="params.yaml") == b"k" * 40
