"""Telephone numbers in running text, by the numbering plans of the library phonenumbers and the words before them.

An international number (+46, 0046) counts by itself, a national one when it is valid and grouped as numbers of one of
the given regions are, any other run of 6 to 12 digits only after a word such as "call" or "telefon". Dates, amounts and
what an order or invoice number is introduced by do not count.
"""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from tunegate.data.preparation.personal_data.reserved import is_fictional_number

if TYPE_CHECKING:
    from phonenumbers import PhoneNumber

_CALLS = re.compile(
    r"(?:\btele?(?:fon|ph)|\btel\b|(?<!\[)phone|\bmobil|\bcell\b|\bcall\b|\bring(?:a|er)?\b|\bsms|\bfax|whatsapp"
    r"|\btexta? m|\bn[åa]s? (?:mig |oss )?på\b|\breach(?:ed)? (?:me |us )?(?:on|at)\b|\bdial\b|\btfn\b|\btlf\b)",
    re.IGNORECASE,
)
NUMBERED = re.compile(
    r"(?:order|invoice|faktura|\bocr\b|\bref|\bart(?:ikel|icle|\.)|\bpart\b|serial|\bserie|\bsku\b|\bisbn|\bean\b|\bgtin"
    r"|\bimei|tracking|kolli|ticket|\bcase\b|ärende|\bkund|customer|account|konto|giro|\bbg\b|\bpg\b|\borg|version"
    r"|\bdnr|diarie|fastighet|\bssn\b|social sec|personn|\bpnr\b|\bid\b|policy|försäkring|claim|batch|lot\b|barcode)",
    re.IGNORECASE,
)
"""Words that introduce another kind of number."""
_AMOUNT = re.compile(
    r"\s?(?:kr\b|sek\b|eur|usd|gbp|nok\b|dkk\b|kronor|dollar|pound|[€$£%°]|m2|m²|m³|kvm|mm\b|cm\b|km\b|kg\b|k?wh\b|st\b"
    r"|pcs|meter|lit(?:er|re)|mkr|miljon|million|tokens|rows|rader)",
    re.IGNORECASE,
)
_DAY = "(?:0?[1-9]|[12][0-9]|3[01])"
# Dates and times, and numbers of people and organisations: 6-4, 8-4 and 3-2-4.
_OTHER = re.compile(
    rf"(?:19|20)\d\d([-/. ]?)(?:0\d|1[0-2])\1[0-3]\d|{_DAY}([-/. ]){_DAY}\2(?:\d\d){{1,2}}"
    r"|\d\d\.\d\d ?[-\u2013] ?\d\d\.\d\d|\d{6}(?:\d\d)?[- ]\d{4}|\d{3}[- ]\d\d[- ]\d{4}"
)
_CANDIDATE = re.compile(r"(?<![\w@#/.,+-])(?:\+ ?|\()?[0-9](?:[ .\-/()\u00a0\u2010-\u2013]{0,3}[0-9]){5,19}(?!\w)")
_ANNOUNCED = re.compile(r"\(?[0-9](?:[ \-/()\u00a0\u2010-\u2013]{0,3}[0-9]){5,11}")
_FIRST_GROUP = re.compile(r"[0-9]{1,3} (?=[0-9(])")
_GROUP = re.compile("[0-9]+")
_MAX_GROUPS = 8
_LAST_GROUP = re.compile(r" [0-9]{1,3}$")
_CURRENCIES = ("€", "$", "£", "€ ", "$ ", "£ ")
_CONTEXT = 40


class Phone(NamedTuple):
    """A telephone number: where it stands, and the number in E.164, or its digits where it is of no known region."""

    start: int
    end: int
    number: str


def phones_in(text: str, regions: Sequence[str]) -> Iterator[Phone]:
    """The telephone numbers in `text`, in order, without those that are reserved for fiction.

    National numbers are looked for in the plans of `regions` (ISO 3166-1 alpha-2); the first that fits is taken.
    """
    for candidate in _CANDIDATE.finditer(text):
        introduced = _introduced(text, candidate.start())
        if introduced is False and not candidate[0].startswith(("+", "00")):
            continue
        if len(_GROUP.findall(candidate[0])) > _MAX_GROUPS:
            continue
        if text.endswith(_CURRENCIES, 0, candidate.start()) or _is_other(text, *candidate.span()):
            continue
        phone = _by_plan(text, *candidate.span(), regions)
        if not phone and introduced and _ANNOUNCED.fullmatch(candidate[0]):
            phone = Phone(*candidate.span(), _normal(candidate[0], regions))
        if phone and not _is_other(text, phone.start, phone.end) and not is_fictional_number(phone.number):
            yield phone


def _is_other(text: str, start: int, end: int) -> bool:
    """Whether the digits are a date, a time or a number of somebody, or an amount by what follows them."""
    return bool(_OTHER.fullmatch(text, start, end) or _AMOUNT.match(text, end))


def _by_plan(text: str, start: int, end: int, regions: Sequence[str]) -> Phone | None:
    """The number in a run of digits that is valid and grouped as usual in the first region that has one."""
    import phonenumbers

    grouped = phonenumbers.Leniency.STRICT_GROUPING
    for low, high in _cuts(text, start, end):
        for region in regions or (None,):
            # One try: which parts of the run may be a number is what `_cuts` says, in a fraction of the time.
            for match in phonenumbers.PhoneNumberMatcher(text[low:high], region, grouped, max_tries=1):
                return Phone(low + match.start, low + match.end, _e164(match.number))
    return None


def _cuts(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The run of digits, and it without short groups at its ends, which may be numbers of their own."""
    first = _FIRST_GROUP.match(text, start, end)
    for low in (start, *([first.end()] if first else [])):
        high = end
        for _ in range(3):
            yield low, high
            last = _LAST_GROUP.search(text, low, high)
            if not last:
                break
            high = last.start()


def _introduced(text: str, start: int) -> bool | None:
    """True after a word that announces a telephone number, False after one for another number, None after neither."""
    sentence = re.split(r"[!?\n]|\. ", text[max(0, start - _CONTEXT) : start])[-1]
    calls = max((match.end() for match in _CALLS.finditer(sentence)), default=-1)
    other = max((match.end() for match in NUMBERED.finditer(sentence)), default=-1)
    return None if calls == other else calls > other


def _normal(written: str, regions: Sequence[str]) -> str:
    """The number in E.164 by the first region in which it is valid, or its digits."""
    import phonenumbers

    for region in regions:
        number = phonenumbers.parse(written, region)
        if phonenumbers.is_valid_number(number):
            return _e164(number)
    return re.sub(r"\D", "", written)


def _e164(number: "PhoneNumber") -> str:
    import phonenumbers

    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
