"""Texts of rows as they may be shown to readers: personal data and secrets masked, formulas harmless, cut to a length.

Whoever reads a pull request need not be allowed to read the rows. Names of people are not found by rules, so this is
no anonymisation. Reads and writes nothing.
"""

from collections.abc import Callable

from tunegate.data.diff.result import Words
from tunegate.data.diff.word_diff import cut_words, word_diff
from tunegate.data.preparation import secrets
from tunegate.data.preparation.personal_data.masking import Masker
from tunegate.params import PersonalData

Show = Callable[[str], str]
ShowEdit = Callable[[str, str], list[Words]]

MOST_CHARACTERS = 600
_LOOKED_AT = 10 * MOST_CHARACTERS
_COMPARED = 100 * MOST_CHARACTERS
_PERSONAL = Masker(PersonalData(action="mask"))
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def shown(text: str) -> str:
    """`text` with personal data masked, no longer than MOST_CHARACTERS, and not a formula to a spreadsheet."""
    # Masked before it is cut: half of an address is not found.
    masked = _masked(text[:_LOOKED_AT])
    cut = masked if len(masked) <= MOST_CHARACTERS else masked[: MOST_CHARACTERS - 1] + "…"
    return _harmless(cut)


def shown_edit(before: str, after: str) -> list[Words]:
    """What changed between two texts, masked as a whole and then cut around the changes, so that each is seen."""
    texts = [_harmless(_masked(text[:_COMPARED])) for text in (before, after)]
    found = word_diff(*texts)
    if all(part.side == "both" for part in found):
        found.append(Words(side="both", text=f"… (differs in what is masked, or after {_COMPARED:,} characters)"))
    return cut_words(found, MOST_CHARACTERS)


def _harmless(text: str) -> str:
    # A quotation mark first is how spreadsheets mark text (OWASP, CSV injection).
    return f"'{text}" if text.startswith(_FORMULA) else text


def _masked(text: str) -> str:
    for secret in sorted(secrets.find(text), key=lambda found: -found.start):
        text = f"{text[: secret.start]}[SECRET]{text[secret.end :]}"
    return _PERSONAL.treat_text(text)
