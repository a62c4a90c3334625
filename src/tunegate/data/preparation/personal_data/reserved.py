"""What is reserved for documentation, fiction and tests, and so belongs to nobody: the rules leave it alone.

Sources: RFC 2606 and 6761 (domains); RFC 1112, 1918, 3849, 5737 and IANA's special-purpose registries (addresses);
PTS (Sweden), Ofcom (United Kingdom) and the North American Numbering Plan (telephone numbers for fiction).
"""

import ipaddress
import re

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

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

_FICTION = re.compile(
    r"\+46(?:7017406(?:0[5-9]|[1-9]\d)|(?:3139006|4062804|8465004|9803192)\d\d)"
    r"|\+44(?:7700900|1632960|2079460)\d{3}|\+1\d{3}55501\d\d"
)


def is_reserved_domain(domain: str) -> bool:
    """Whether nobody can have a mailbox at `domain`, in lower case."""
    return _DOMAINS.search(domain) is not None


def is_public_address(address: Address) -> bool:
    """Whether an IP address may belong to somebody's connection."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in block for block in _NOT_PUBLIC)
    return address in _PUBLIC_6 and not any(address in block for block in _NOT_PUBLIC_6)


def is_fictional_number(number: str) -> bool:
    """Whether a telephone number in E.164 (`+46701740605`) is reserved for films and books."""
    return _FICTION.fullmatch(number) is not None
