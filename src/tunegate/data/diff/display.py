"""Texts of rows as they may be shown to readers: personal data and secrets masked, formulas harmless, cut to a length.

A reader of a pull request need not be allowed to read the rows. Rules do not find names of people, so this is not
anonymisation.
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
_SEARCHED = 10 * MOST_CHARACTERS
_COMPARED = 100 * MOST_CHARACTERS
_PERSONAL = Masker(PersonalData(action="mask"))
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def shown(text: str) -> str:
    """`text` with personal data masked, no longer than MOST_CHARACTERS, and not a formula to a spreadsheet."""
    # Masked before it is cut: rules do not find half of an address.
    masked = _masked(text[:_SEARCHED])
    cut = masked if len(masked) <= MOST_CHARACTERS else masked[: MOST_CHARACTERS - 1] + "…"
    return _harmless(cut)


def shown_edit(before: str, after: str) -> list[Words]:
    """What changed between two texts, masked as a whole and then cut around the changes."""
    texts = [_harmless(_masked(text[:_COMPARED])) for text in (before, after)]
    parts = word_diff(*texts)
    if all(part.side == "both" for part in parts):
        parts.append(Words(side="both", text=f"… (differs in what is masked, or after {_COMPARED:,} characters)"))
    return cut_words(parts, MOST_CHARACTERS)


def _harmless(text: str) -> str:
    # A quotation mark first is how spreadsheets mark text (OWASP, CSV injection).
    return f"'{text}" if text.startswith(_FORMULA) else text


def _masked(text: str) -> str:
    for secret in sorted(secrets.find(text), key=lambda secret: -secret.start):
        text = f"{text[: secret.start]}[SECRET]{text[secret.end :]}"
    return _PERSONAL.treat_text(text)
