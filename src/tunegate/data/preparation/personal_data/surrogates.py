"""Made-up values that stand for personal data: always the same for the same, and never a real person's.

A surrogate is a keyed hash (HMAC-SHA256) of the kind and the normal form, written as a value that is reserved and so
nobody's (personal_reserved), or was never issued: a country ZZ, a card of a country that is not, a 13th month. Without
the key nobody can tell who it stands for, nor try all telephone numbers. Where few values are reserved (telephones: 495
Swedish, 3000 British, 71,200 of +1), two people may get the same. Reads and writes nothing.
"""

import base64
import hashlib
import hmac
import ipaddress
import re
from collections.abc import Callable

from tunegate.data.preparation.personal_data.reserved import DOMAIN, FICTION
from tunegate.data.preparation.personal_data.rules import Span, iban_remainder, luhn

_STARTS = re.findall("...", "BraCorDovFelGorHaxJunKelLumMevNorOrvPelQuoRavSilTovUlvVexWimYarZel")
_MIDDLES = re.findall("..", "bidafogakilumonepirasotuvaxizo")
_ENDS = {"person": ("vin", "lix", "dra", "nel"), "location": ("thwick", "quist"), "organization": ("dexa", "plym")}
_SYLLABLES = f"(?:{'|'.join(_STARTS)})(?:{'|'.join(_MIDDLES)})"
INVENTED = re.compile(rf"\b{_SYLLABLES}(?:{'|'.join(end for ends in _ENDS.values() for end in ends)})\b")
"""A word that only a surrogate has: a name, place or firm that was made here."""


def surrogate(span: Span, written: str, key: bytes) -> str:
    """What stands for the personal data at `span`, which is `written` so in its text."""
    digest = hmac.new(key, f"{span.kind}\0{span.normal}".encode(), hashlib.sha256).digest()
    return _MAKERS[span.kind](span, written, int.from_bytes(digest))


def _email(_span: Span, _written: str, number: int) -> str:
    return f"user-{base64.b32encode(number.to_bytes(32)[:8]).decode().strip('=').lower()}@{DOMAIN}"


def _phone(span: Span, written: str, number: int) -> str:
    """A number for fiction of the same country (of +1 where there is none), international when that was."""
    country = span.normal[1:].split(" ")[0]
    international = written.startswith(("+", "00"))
    if country not in FICTION:
        area = (number % 712) // 89 + 2, (number % 712) % 89
        # The second and third digit: 00 to 89 without 11, which are short numbers.
        code = f"{area[0]}{area[1] + (area[1] >= 11):02d}"
        last = f"01{number // 712 % 100:02d}"
        return f"+1 {code} 555 {last}" if international else f"{code}-555-{last}"
    blocks = [(block, 10**block.digits - block.least) for block in FICTION[country]]
    place = number % sum(size for _, size in blocks)
    for block, size in blocks:
        if place < size:
            national = f"{block.prefix}{place + block.least:0{block.digits}d}"
            break
        place -= size
    if country == "44":
        return f"+44 {national[:4]} {national[4:]}" if international else f"0{national[:4]} {national[4:]}"
    return f"+46 {national[:2]} {national[2:]}" if international else f"0{national[:2]}-{national[2:]}"


def _iban(span: Span, written: str, number: int) -> str:
    account = f"{number % 10 ** (len(span.normal) - 4):0{len(span.normal) - 4}d}"
    checked = f"ZZ{98 - iban_remainder(f'ZZ00{account}'):02d}{account}"
    return " ".join(checked[i : i + 4] for i in range(0, len(checked), 4)) if " " in written else checked


def _card(span: Span, written: str, number: int) -> str:
    """An issuer of the country 999, which ISO 3166 gives to nobody."""
    size = len(span.normal) - 5
    digits = _with_check(f"9999{number % 10**size:0{size}d}")
    return _like(written, digits)


def _national_id(span: Span, written: str, number: int) -> str:
    if span.normal[0].isalpha():
        # Never a prefix: HMRC's own examples begin so.
        made = f"QQ{number % 10**6:06d}{'ABCD'[number // 10**6 % 4]}"
        return _like(written, made)
    if len(span.normal) == 9:
        return _like(written, f"666{number % 99 + 1:02d}{number // 99 % 9999 + 1:04d}")
    # Months 13 to 19: people have 01 to 12, firms 20 and above.
    year, rest = divmod(number, 100)
    made = _with_check(f"{rest:02d}{year % 7 + 13}{year // 7 % 28 + 1:02d}{year // 196 % 1000:03d}")
    return _like(written, ("19" if sum(map(str.isdigit, written)) == 12 else "") + made)


def _address(span: Span, _written: str, number: int) -> str:
    if ":" in span.normal:
        return str(ipaddress.IPv6Address(int(ipaddress.IPv6Address("2001:db8::")) + number % 2**96))
    return str(ipaddress.IPv4Address(int(ipaddress.IPv4Address("240.0.0.0")) + number % (2**28 - 1)))


def _name(span: Span, _written: str, number: int) -> str:
    """One made-up word for one, two for more."""
    words = []
    for _ in range(2 if " " in span.normal and span.kind == "person" else 1):
        for parts in (_STARTS, _MIDDLES, _ENDS[span.kind]):
            number, place = divmod(number, len(parts))
            words.append(parts[place])
        words.append(" ")
    return "".join(words).strip()


def _like(written: str, made: str) -> str:
    """The characters of `made` in the places of the letters and digits of `written`."""
    characters = iter(made)
    return "".join(next(characters) if place.isalnum() else place for place in written)


def _with_check(digits: str) -> str:
    return next(f"{digits}{last}" for last in range(10) if luhn(f"{digits}{last}"))


_MAKERS: dict[str, Callable[[Span, str, int], str]] = {
    "email": _email,
    "phone": _phone,
    "iban": _iban,
    "credit_card": _card,
    "national_id": _national_id,
    "ip_address": _address,
    "person": _name,
    "location": _name,
    "organization": _name,
}
