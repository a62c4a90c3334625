import ipaddress

import pytest
from stdnum import luhn

from tunegate.data.preparation.personal_data.reserved import (
    TEST_CARDS,
    is_fictional_number,
    is_public_address,
    is_reserved_domain,
)


def test_a_domain_is_reserved_by_its_end_and_not_by_a_part() -> None:
    assert all(is_reserved_domain(name) for name in ("example.com", "a.example.net", "host.test", "localhost"))
    assert not any(is_reserved_domain(name) for name in ("example.se", "notexample.com", "test.com", "example.com.se"))


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("81.2.69.142", True),
        ("172.32.0.1", True),
        ("172.31.0.1", False),
        ("192.0.2.1", False),
        ("240.0.0.1", False),
        ("2a00:1450::1", True),
        ("2001:db8::1", False),
        ("3fff::1", False),
        ("fe80::1", False),
    ],
)
def test_only_public_addresses_may_be_somebodys(address: str, public: bool) -> None:
    assert is_public_address(ipaddress.ip_address(address)) is public


def test_numbers_for_fiction_are_those_of_the_blocks() -> None:
    assert is_fictional_number("+46701740605") and not is_fictional_number("+46701740604")
    assert is_fictional_number("+447700900999") and not is_fictional_number("+447700901000")
    assert is_fictional_number("+12125550199") and not is_fictional_number("+12125550200")
    assert (
        sum(is_fictional_number(f"+46{area}{n:02}") for area in (7017406, 3139006, 8465004) for n in range(100)) == 295
    )


def test_every_test_card_has_its_check_digit() -> None:
    assert all(luhn.is_valid(card) for card in TEST_CARDS)
