"""Personal data with a recognisable form: e-mail and IP addresses, telephone, account, card and national numbers.

A number with check digits counts only when they are right, so that an order number is left alone. Every pattern is
bounded: the time is linear in the text. What is `reserved` for documentation, fiction and tests is not found. Names and
postal addresses have no form: `name_model` looks for names.

Sources: ISO/IEC 7812 (card issuers), Skatteverket SKV 704 (personnummer), the US Social Security Administration and
HMRC's NIM39110 (numbers never issued).
"""

import datetime
import ipaddress
import itertools
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from stdnum import iban, luhn

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
_PLACEHOLDER_KIND = "placeholder"

_AT, _DOT = r"(?:@| ?[\[({] ?at ?[\])}] ?)", r"(?:\.| ?[\[({] ?(?:dot|punkt) ?[\])}] ?)"
_EMAIL = re.compile(rf"(?<![\w.+%-])\w[\w.+%'-]{{0,63}}{_AT}(?:[\w-]{{1,63}}{_DOT}){{1,6}}[^\W\d_]{{2,24}}(?!\w)", re.I)
_FILES = "png jpg jpeg gif svg webp avif bmp pdf js css ts py md txt json yaml yml csv"
_FILE_ENDS = frozenset(_FILES.split())

_IBAN = re.compile(r"(?<![^\W_])[A-Za-z]{2}[0-9]{2}(?: ?[A-Za-z0-9]){11,30}")
_WORD_END = re.compile(r"[A-Za-z0-9](?![A-Za-z0-9])")
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
_NOT_ADDRESS = re.compile(
    r"(?:version|\bver\b|\bv\b|release|build|firmware|section|chapter|clause|avsnitt|kapitel|§|bilaga)"
)
_ADDRESS = re.compile(r"\bip\b|ip-|ipv4|server|host|(?<!_)address|adress|log", re.I)

PLACEHOLDER = re.compile(r"\[[A-Z_]{4,20}(?:_[0-9a-f]{8})?\]")
"""What stands for a masked value: `[EMAIL]`, or with a tag, `[EMAIL_1f0c92d3]`. Nothing is found inside of one."""


class Span(NamedTuple):
    """Personal data in a text: where, of which kind, and the form in which two writings of the same are equal."""

    start: int
    end: int
    kind: str
    normal: str


def may_match(text: str) -> bool:
    """Whether a rule may find something in `text`: cheap, and never False where one does."""
    return _SCREEN.search(text) is not None


def find(text: str, regions: Sequence[str]) -> list[Span]:
    """All that the rules find in `text`, in order; of overlapping spans, that of the surer rule.

    `regions` are the countries (ISO 3166-1 alpha-2) whose national telephone numbers are looked for.
    """
    if not may_match(text):
        return []
    placeholders = (Span(*match.span(), _PLACEHOLDER_KIND, "") for match in PLACEHOLDER.finditer(text))
    rules = (placeholders, _emails(text), _ibans(text), _cards(text), _national_ids(text), _addresses(text))
    phones = (Span(phone.start, phone.end, "phone", phone.number) for phone in phones_in(text, regions))
    spans = first_come(itertools.chain(*rules, phones), len(text))
    return [span for span in spans if span.kind != _PLACEHOLDER_KIND]


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
        # Of what follows, words of letters and digits may or may not be part of it; the length is that of the country.
        for word in _WORD_END.finditer(text, match.start(), match.end()):
            normal = match.string[match.start() : word.end()].replace(" ", "").upper()
            if iban.is_valid(normal, check_country=False):
                yield Span(match.start(), word.end(), "iban", normal)
                break


def _cards(text: str) -> Iterator[Span]:
    for match in _CARD.finditer(text):
        normal = re.sub(r"\D", "", match[0])
        # Payment references (OCR) end in a Luhn digit, too.
        numbered = normal == match[0] and NUMBERED.search(text, max(0, match.start() - 25), match.start())
        if _CARD_ISSUERS.fullmatch(normal) and luhn.is_valid(normal) and normal not in TEST_CARDS and not numbered:
            yield Span(match.start(), match.end(), "credit_card", normal)


def _national_ids(text: str) -> Iterator[Span]:
    for match in _SWEDISH.finditer(text):
        year, month, day, sign, last = match.groups()
        # Ten digits in a row are too common; with a century or a sign they are rarely anything else.
        sure = bool(sign) or len(year) == 4 or _after(_PERSON_NUMBER, text, match.start())
        if sure and _is_birthday(year, month, day) and luhn.is_valid(year[-2:] + month + day + last):
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
        if is_public_address(address) and not small and not _after(_NOT_ADDRESS, text.lower(), match.start(), 15):
            yield Span(match.start(), match.end(), "ip_address", address.compressed)


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
