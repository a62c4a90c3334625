"""What is reserved and so is nobody's: addresses for documentation, telephone numbers for fiction, test cards.

Rules do not take these for personal data, and surrogates are made of these alone: that is why treating a text twice
changes nothing more, and why no surrogate is a real person's. Reads and writes nothing.

Sources: RFC 2606 and 6761 (domains); RFC 1112, 1918, 3849, 5737 and IANA's special-purpose registries (addresses);
PTS (Sweden), Ofcom (United Kingdom) and the North American Numbering Plan (numbers for fiction).
"""

import ipaddress
import re
from typing import NamedTuple

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

DOMAIN = "example.com"
_DOMAINS = re.compile(r"(?:^|\.)(?:example\.(?:com|net|org|edu)|(?:example|test|invalid|localhost))$")

# Not ipaddress.is_global: what that says differs between patch releases of Python.
_BLOCKS = """
    0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24
    192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/3
"""
_NOT_PUBLIC = tuple(ipaddress.IPv4Network(block) for block in _BLOCKS.split())
_PUBLIC_6 = ipaddress.IPv6Network("2000::/3")
_NOT_PUBLIC_6 = (ipaddress.IPv6Network("2001:db8::/32"), ipaddress.IPv6Network("3fff::/20"))

_CARDS = """
    4242424242424242 4111111111111111 4012888888881881 4000056655665556 4222222222222 5555555555554444
    5105105105105100 5200828282828210 2223003122003222 378282246310005 371449635398431 6011111111111117
    6011000990139424 30569309025904 38520000023237 3530111333300000 3566002020360505 6200000000000005
"""
TEST_CARDS = frozenset(_CARDS.split())
"""Numbers that payment firms print in their manuals for tests."""


class Fiction(NamedTuple):
    """A block of telephone numbers for films and books: national numbers `prefix` + `digits` further digits."""

    prefix: str
    digits: int
    least: int = 0
    """The lowest number that the further digits make."""


FICTION: dict[str, tuple[Fiction, ...]] = {
    "46": (
        Fiction("7017406", 2, 5),
        Fiction("3139006", 2),
        Fiction("4062804", 2),
        Fiction("8465004", 2),
        Fiction("9803192", 2),
    ),
    "44": (Fiction("7700900", 3), Fiction("1632960", 3), Fiction("2079460", 3)),
}
"""Country code to its blocks; those of +1 are 555-0100 to 555-0199 of every area code."""


def is_reserved_domain(domain: str) -> bool:
    """Whether nobody can have a mailbox at `domain`, in lower case."""
    return _DOMAINS.search(domain) is not None


def is_public_address(address: Address) -> bool:
    """Whether an IP address may belong to somebody's connection."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in block for block in _NOT_PUBLIC)
    return address in _PUBLIC_6 and not any(address in block for block in _NOT_PUBLIC_6)


def is_fictional_number(country: str, national: str) -> bool:
    """Whether a telephone number without its leading 0 is reserved for fiction."""
    if country == "1":
        return len(national) == 10 and national[3:8] == "55501"
    return any(
        national.startswith(block.prefix)
        and len(national) == len(block.prefix) + block.digits
        and int(national[-block.digits :]) >= block.least
        for block in FICTION.get(country, ())
    )
