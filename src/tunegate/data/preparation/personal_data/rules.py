"""Personal data that can be told by its form: addresses, numbers of accounts, cards, people and connections.

A number with check digits counts only when they are right, so that an order number is left alone. Every pattern is
bounded: the time is linear in the text. What is reserved for documentation, fiction and tests (personal_reserved) is
nobody's and not found. Names and postal addresses have no form: personal_model looks for those. Reads and writes
nothing; does not know what becomes of what is found.

Sources: ISO 13616 (IBAN, its registry of lengths), ISO/IEC 7812 (Luhn), Skatteverket SKV 704 (personnummer),
the US Social Security Administration and HMRC's NIM39110 (numbers never issued).
"""

import datetime
import ipaddress
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from tunegate.data.preparation.personal_data.phones import NUMBERED, phones_in
from tunegate.data.preparation.personal_data.reserved import TEST_CARDS, is_public_address, is_reserved_domain
from tunegate.data.preparation.spans import first_come

# In the syntax that Python's re and Arrow's RE2 share. Six digits that only signs part are the least of all numbers.
SCREEN = (
    r"@|[\[({] ?[aA][tT] ?[\])}]|(?:[0-9][^0-9A-Za-z]{0,3}){5}[0-9]|[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]"
    r"|[0-9A-Fa-f]{4}:[0-9A-Fa-f:]{0,30}:"
)
"""What every text with something to find matches, and few others do."""
_SCREEN = re.compile(SCREEN)

_AT, _DOT = r"(?:@| ?[\[({] ?at ?[\])}] ?)", r"(?:\.| ?[\[({] ?(?:dot|punkt) ?[\])}] ?)"
_EMAIL = re.compile(rf"(?<![\w.+%-])\w[\w.+%'-]{{0,63}}{_AT}(?:[\w-]{{1,63}}{_DOT}){{1,6}}[^\W\d_]{{2,24}}(?!\w)", re.I)
_FILES = "png jpg jpeg gif svg webp avif bmp pdf js css ts py md txt json yaml yml csv"
_FILE_ENDS = frozenset(_FILES.split())

_IBAN = re.compile(r"(?<![^\W_])[A-Za-z]{2}[0-9]{2}(?: ?[A-Za-z0-9]){11,30}")
_IBAN_LENGTHS = {
    country: int(length)
    for length, countries in (
        line.split(maxsplit=1)
        for line in """
            15 NO BE16 DK18 FI18 FO18 GL18 NL18 SD18 FK18 MK19 SI19 AT20 BA20 EE20 KZ20 LT20 LU20 XK20 MN20 CR22 GE22
            21 CH HR LI LV
            22 BG BH DE GB IE ME RS VA
            23 AE GI IL IQ TL OM SO
            24 AD CZ ES MD PK RO SA SE SK TN VG
            25 LY PT ST
            26 IS TR
            27 BI DJ FR GR IT MC MR SM
            28 AL AZ BY CY DO GT HN HU LB NI PL SV
            29 BR EG PS QA UA
            30 JO KW MU YE
            31 MT SC
            33 RU
        """.strip().splitlines()
    )
    for country, length in ((word[:2], word[2:] or length) for word in countries.split())
}

_CARD = re.compile(
    r"(?<![\w.,+-])(?:[0-9]{4}([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{4}"
    r"|[0-9]{4}([ -])[0-9]{6}\2[0-9]{4,5}|[0-9]{13,19})(?!\w|[.,][0-9]|-[0-9])"
)
_CARD_ISSUERS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2(?:2(?:2[1-9]|[3-9]\d)|[3-6]\d\d|7(?:[01]\d|20))\d{12}|3[47]\d{13}"
    r"|3(?:0[0-5]|[689]\d)\d{11}|(?:6011|64[4-9]\d|65\d\d|62\d\d|35(?:2[89]|[3-8]\d))\d{12,15}"
    r"|(?:5018|5020|5038|5893|6304|6759|676[1-3])\d{8,15}"
)

_SWEDISH = re.compile(
    r"(?<![\w.,-])((?:1[89]|20)?[0-9]{2})([0-9]{2})([0-9]{2})( ?[-+] ?|)([0-9]{4})(?!\w|-[0-9]|[.,][0-9])"
)
_AMERICAN = re.compile(r"(?<![\w.,-])([0-9]{3})([- ]?)([0-9]{2})\2([0-9]{4})(?!\w|-[0-9]|[.,][0-9])")
_BRITISH = re.compile(
    r"(?<!\w)(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D](?!\w)",
    re.I,
)
_PERSON_NUMBER = re.compile(r"person(?:al|\s?n|n|-n)|\bpnr\b|\bp-nr\b|samordnings|född|born|identi", re.I)
_SOCIAL_NUMBER = re.compile(r"\bssn\b|social[ -]security", re.I)

_IPV4 = re.compile(r"(?<![\w.-])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?!\w|\.[0-9]|-[0-9])")
_IPV6 = re.compile(r"(?<![\w:.])[23][0-9a-f]{3}(?::[0-9a-f]{0,4}){2,7}(?![\w:])", re.I)
_NO_ADDRESS = re.compile(
    r"(?:version|\bver\b|\bv\b|release|build|firmware|section|chapter|clause|avsnitt|kapitel|§|bilaga)"
)
_ADDRESS = re.compile(r"\bip\b|ip-|ipv4|server|host|(?<!_)address|adress|log", re.I)


class Span(NamedTuple):
    """Personal data in a text: where, of which kind, and the form in which two writings of the same are equal."""

    start: int
    end: int
    kind: str
    normal: str


def may_match(text: str) -> bool:
    """Whether a rule may find something in `text`: cheap, and never False where one does."""
    return _SCREEN.search(text) is not None


def find(text: str) -> list[Span]:
    """All that the rules find in `text`, in order; no two overlap: the surer rule wins."""
    return first_come((span for rule in _RULES for span in rule(text)), len(text))


def _emails(text: str) -> Iterator[Span]:
    for match in _EMAIL.finditer(text):
        normal = re.sub(_DOT, ".", re.sub(_AT, "@", match[0], flags=re.I), flags=re.I).lower()
        name, domain = normal.split("@", 1)
        labels = domain.split(".")
        # react@18.2.beta and icon@2x.png have the form of an address; git@ stands before a repository.
        versioned = len(labels) > 2 and all(label.isdigit() for label in labels[:-1])
        if not (versioned or labels[-1] in _FILE_ENDS or name == "git" or is_reserved_domain(domain)):
            yield Span(match.start(), match.end(), "email", normal)


def _ibans(text: str) -> Iterator[Span]:
    for match in _IBAN.finditer(text):
        length = _IBAN_LENGTHS.get(match[0][:2].upper(), 0)
        places = [place for place in range(match.start(), match.end()) if text[place] != " "][:length]
        if not length or len(places) < length or text[places[-1] + 1 : places[-1] + 2].isalnum():
            continue
        normal = "".join(text[place] for place in places).upper()
        if iban_remainder(normal) == 1:
            yield Span(match.start(), places[-1] + 1, "iban", normal)


def _cards(text: str) -> Iterator[Span]:
    for match in _CARD.finditer(text):
        normal = re.sub(r"\D", "", match[0])
        # Payment references (OCR) end in a Luhn digit, too.
        numbered = normal == match[0] and NUMBERED.search(text, max(0, match.start() - 25), match.start())
        if _CARD_ISSUERS.fullmatch(normal) and luhn(normal) and normal not in TEST_CARDS and not numbered:
            yield Span(match.start(), match.end(), "credit_card", normal)


def _national_ids(text: str) -> Iterator[Span]:
    for match in _SWEDISH.finditer(text):
        year, month, day, sign, last = match.groups()
        # Ten digits in a row are too common; with a century or a sign they are rarely anything else.
        sure = bool(sign) or len(year) == 4 or _after(_PERSON_NUMBER, text, match.start())
        if sure and _is_birthday(year, month, day) and luhn(year[-2:] + month + day + last):
            yield Span(match.start(), match.end(), "national_id", year[-2:] + month + day + last)
    for match in _AMERICAN.finditer(text):
        area, sign, group, serial = match.groups()
        issued = area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"
        if issued and (sign == "-" or _after(_SOCIAL_NUMBER, text, match.start())):
            yield Span(match.start(), match.end(), "national_id", area + group + serial)
    for match in _BRITISH.finditer(text):
        yield Span(match.start(), match.end(), "national_id", match[0].replace(" ", "").upper())


def _addresses(text: str) -> Iterator[Span]:
    for match in [*_IPV4.finditer(text), *_IPV6.finditer(text)]:
        try:
            address = ipaddress.ip_address(match[0])
        except ValueError:
            continue
        # 1.2.3.4 is a version more often than a connection.
        small = re.fullmatch(r"\d(\.\d\d?){3}", match[0]) and not _after(_ADDRESS, text, match.start())
        if is_public_address(address) and not small and not _after(_NO_ADDRESS, text.lower(), match.start(), 15):
            yield Span(match.start(), match.end(), "ip_address", address.compressed)


def _phones(text: str) -> Iterator[Span]:
    for phone in phones_in(text):
        yield Span(phone.start, phone.end, "phone", f"+{phone.country} {phone.national}")


_RULES: tuple[Callable[[str], Iterator[Span]], ...] = (_emails, _ibans, _cards, _national_ids, _addresses, _phones)


def luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of those before it (ISO/IEC 7812-1, annex B)."""
    doubled = [2 * int(digit) for digit in digits[-2::-2]]
    return (sum(map(int, digits[-1::-2])) + sum(value - 9 if value > 9 else value for value in doubled)) % 10 == 0


def iban_remainder(iban: str) -> int:
    """The remainder that ISO 7064 MOD 97-10 gives for an IBAN without spaces; 1 when its check digits are right."""
    return int("".join(str(int(character, 36)) for character in iban[4:] + iban[:4])) % 97


def _is_birthday(year: str, month: str, day: str) -> bool:
    number = int(day) - 60 if int(day) > 60 else int(day)  # of a coordination number, the day is 60 more
    try:
        # Of two digits, a leap year could be meant.
        datetime.date(int(year) if len(year) == 4 else 2000 + int(year), int(month), number)
    except ValueError:
        return False
    return True


def _after(words: re.Pattern[str], text: str, start: int, within: int = 40) -> bool:
    return words.search(text, max(0, start - within), start) is not None
