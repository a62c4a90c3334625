import hashlib
import hmac
import re

import pytest

from tunegate.data.preparation.personal_data.rules import Span
from tunegate.data.preparation.personal_data.tags import check_key, fingerprint, read_key, tag
from tunegate.errors import InputError

KEY = b"k" * 40
PLACE = "params.yaml: prepare.personal_data.key"


def test_a_tag_is_the_kind_and_a_keyed_hash_of_the_normalised_value() -> None:
    digits = hmac.new(KEY, b"email\0a@firm.se", hashlib.sha256).hexdigest()[:8]
    assert tag(Span(3, 12, "email", "a@firm.se"), KEY) == f"[EMAIL_{digits}]"


def test_another_value_kind_or_key_has_another_tag() -> None:
    tags = {
        tag(Span(0, 1, kind, value), key)
        for kind in ("email", "credit_card")
        for value in ("1", "2")
        for key in (KEY, b"o" * 40)
    }
    assert len({re.sub(r"\D", "", one) for one in tags}) == 8


def test_the_fingerprint_is_sixteen_digits_of_the_keyed_hash_of_its_purpose() -> None:
    assert fingerprint(KEY) == hmac.new(KEY, b"tunegate pseudonym key", hashlib.sha256).hexdigest()[:16]


def test_a_short_key_is_refused_without_being_shown() -> None:
    assert read_key({}) is None
    assert read_key({"TUNEGATE_PSEUDONYM_KEY": " \n"}) is None
    assert read_key({"TUNEGATE_PSEUDONYM_KEY": "k" * 40}) == KEY
    with pytest.raises(InputError, match="the key has 6 characters") as caught:
        read_key({"TUNEGATE_PSEUDONYM_KEY": "s3cret"})
    assert "s3cret" not in f"{caught.value} {caught.value.remedy}"


@pytest.mark.parametrize(
    ("key", "expected", "value"),
    [
        (None, fingerprint(KEY), "TUNEGATE_PSEUDONYM_KEY"),
        (KEY, None, fingerprint(KEY)),
        (b"o" * 40, fingerprint(KEY), fingerprint(b"o" * 40)),
    ],
    ids=["no key", "no fingerprint", "another key"],
)
def test_a_missing_or_other_key_is_refused_and_its_fingerprint_shown(
    key: bytes | None, expected: str | None, value: str
) -> None:
    with pytest.raises(InputError) as caught:
        check_key(key, expected, place=PLACE)
    assert caught.value.place == PLACE
    assert value in caught.value.problem
    assert caught.value.remedy
    assert key is None or key.decode() not in f"{caught.value} {caught.value.remedy}"


def test_the_key_of_the_fingerprint_is_accepted() -> None:
    assert check_key(KEY, fingerprint(KEY), place=PLACE) == KEY
