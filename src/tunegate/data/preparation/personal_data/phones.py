"""Telephone numbers in running text, by their form and the words before them; no list of numbering plans.

An international number (+46, 0046) counts by itself, a national one when it is grouped as telephone numbers are, any
other run of digits only after a word such as "call" or "telefon". Dates, amounts and what an order or invoice number is
introduced by do not count. A national number of up to nine digits after its 0 is taken for Swedish, of ten for British.
Reads and writes nothing; does not know what becomes of a number.
"""

import re
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import NamedTuple

from tunegate.data.preparation.personal_data.reserved import is_fictional_number

_CANDIDATE = re.compile(r"(?<![\w@#/.,+-])(?:\+ ?|\()?[0-9](?:[ .\-/()\u00a0\u2010-\u2013]{0,3}[0-9]){5,19}(?!\w)")
_GROUP = re.compile(r"\d+")
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
_CODES_2 = re.compile(r"2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]")
_LENGTHS = {"1": (10, 10), "7": (10, 10), "31": (9, 9), "33": (9, 9), "34": (9, 9), "44": (9, 10), "45": (8, 8)} | {
    "46": (7, 9), "47": (8, 8), "48": (9, 9), "41": (9, 9), "91": (10, 10), "353": (7, 9)
}  # fmt: skip
_MOBILE = re.compile(r"07[02369]\d{7}|07[1-9]\d{8}")
_NANP = re.compile(r"(?:1[-. ])?(?:\([2-9]\d\d\) ?|[2-9]\d\d[-. ])[2-9]\d\d[-. ]\d{4}")
_CONTEXT = 40
_MOST_DIGITS = 18
"""Of an international number: 00 and 16 more."""


class Phone(NamedTuple):
    """A telephone number: where it stands, its country's code ("" when unknown) and its national number."""

    start: int
    end: int
    country: str
    national: str


def phones_in(text: str) -> Iterator[Phone]:
    """The telephone numbers in `text`, in order, without those that are reserved for fiction."""
    for match in _CANDIDATE.finditer(text):
        before = text[max(0, match.start() - _CONTEXT) : match.start()]
        if before.rstrip()[-1:] in ("€", "$", "£"):
            continue
        found = _longest(text, match.start(), match.end(), before)
        if found and not is_fictional_number(found.country, found.national):
            yield found


def _longest(text: str, start: int, end: int, before: str) -> Phone | None:
    """The longest telephone number in a run of digits; short groups at its ends may be neighbours of it."""
    groups = [match.span() for match in _GROUP.finditer(text, start, end)]
    # Once per run of digits and only for what may be a number: rows may be full of digits.
    introduced = cache(partial(_introduced, before))
    for first in range(min(2, len(groups))):
        if first and not _loose(text, groups[0], groups[1]):
            break
        begin = start if not first else _with_sign(text, groups[0][1], groups[first][0])
        for last in range(len(groups) - 1, max(first - 1, len(groups) - 4), -1):
            stop = groups[last][1]
            digits = sum(high - low for low, high in groups[first : last + 1])
            if digits <= _MOST_DIGITS and not _AMOUNT.match(text, stop):
                found = _read(text[begin:stop], introduced)
                if found:
                    return Phone(begin, stop, *found)
            if last == 0 or not _loose(text, groups[last], groups[last - 1]):
                break
    return None


def _loose(text: str, group: tuple[int, int], neighbour: tuple[int, int]) -> bool:
    """Whether a group of digits may be a word of its own: short, and apart from its neighbour by a space."""
    left, right = sorted((group, neighbour))
    return group[1] - group[0] <= 3 and text[left[1] : left[1] + 1] == " " and text[right[0] - 1] in " ("


def _with_sign(text: str, low: int, start: int) -> int:
    while start > low and text[start - 1] in "+(":
        start -= 1
    return start


def _read(raw: str, introduced: Callable[[], bool | None]) -> tuple[str, str] | None:
    found = _GROUP.findall(raw)
    digits, groups = "".join(found), [len(group) for group in found]
    called = introduced() if not raw.startswith("+") else None
    if raw.startswith("+") or (digits.startswith("00") and (len(groups) > 2 or called)):
        return _international(digits.removeprefix("00") if not raw.startswith("+") else digits, "(0)" in raw)
    if called is False:
        return None
    if digits.startswith("0"):
        return _national(raw, digits, groups, bool(called))
    if _NANP.fullmatch(raw) and (called or set(raw) & set("-.(")):
        return "1", digits[-10:]
    if called and 6 <= len(digits) <= 12 and "." not in raw and not _is_other(groups, digits):
        return ("1" if re.fullmatch(r"[2-9]\d\d[2-9]\d{6}", digits) else ""), digits
    return None


def _introduced(before: str) -> bool | None:
    """True after a word that announces a telephone number, False after one for another number, None after neither."""
    sentence = re.split(r"[!?\n]|\. ", before)[-1]
    calls = max((match.end() for match in _CALLS.finditer(sentence)), default=-1)
    other = max((match.end() for match in NUMBERED.finditer(sentence)), default=-1)
    return None if calls == other else calls > other


def _international(digits: str, zero: bool) -> tuple[str, str] | None:
    if not 8 <= len(digits) <= 16 or digits.startswith("0"):
        return None
    country = digits[:1] if digits[0] in "17" else digits[:2] if _CODES_2.match(digits) else digits[:3]
    national = digits[len(country) :]
    if (zero or country in ("44", "46")) and national.startswith("0"):
        national = national[1:]
    least, most = _LENGTHS.get(country, (6, 12))
    return (country, national) if least <= len(national) <= most else None


def _national(raw: str, digits: str, groups: list[int], called: bool) -> tuple[str, str] | None:
    national = digits[1:]
    country = "46" if len(national) <= 9 else "44"
    if national.startswith("0") or not 7 <= len(national) <= 10:
        return None
    if len(groups) == 1:
        return (country, national) if called or _MOBILE.fullmatch(digits) else None
    grouped = 2 <= groups[0] <= 5 and min(groups[1:]) >= 2 and max(groups[1:]) <= 8 and len(groups) <= 6
    pairs = groups == [2] * 5
    if not grouped or _is_other(groups, digits) or ("." in raw and not pairs):
        return None
    return country, national


def _is_other(groups: list[int], digits: str) -> bool:
    """Whether digits are grouped as dates are, or as numbers of people: 6-4, 8-4 and 3-2-4."""
    if groups in ([2, 2, 2], [2, 2, 4]):
        one, two, three = digits[:2], digits[2:4], digits[4:]
        return (one <= "31" and two <= "12") or (one <= "12" and two <= "31") or (two <= "12" and three <= "31")
    if groups in ([1, 2, 4], [2, 1, 4], [6, 4], [8, 4], [3, 2, 4]):
        return True
    return groups in ([4, 2, 2], [8]) and digits[:2] in ("19", "20") and "01" <= digits[4:6] <= "12"
