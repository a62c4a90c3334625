"""Text repair, and the form in which two texts count as equal.

Mends what is certainly damage (broken encodings, control characters, foreign line ends, stray white space) and counts
each repair. Leaves quotation marks, case and inner spaces alone: they may be what the model is to learn.
"""

import re
import unicodedata
from collections.abc import Callable
from typing import Any

from tunegate.data.rows import Row, with_texts

Repair = Callable[[str], str]
_MOST_ROUNDS = 10

# Invisible in every editor, different for every tokenizer: zero-width space, word joiner, byte-order mark, soft
# hyphen. The zero-width joiners (U+200C, U+200D) stay: they are letters' business in Persian, and glue emoji.
_INVISIBLE = re.compile("[\u200b\u2060\ufeff\u00ad]")
_CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_LINE_ENDS = re.compile("\r\n|\r|\u2028|\u2029|\x85")
_SPACES = re.compile("[\u00a0\u2000-\u200a\u202f\u205f\u3000]")


def repair_text(text: str) -> tuple[str, list[str]]:
    """`text` repaired, and the names of the repairs that changed it. Repairing twice changes nothing more."""
    done: list[str] = []
    # One repair may uncover what another mends: a control character inside of a broken encoding.
    for _ in range(_MOST_ROUNDS):
        before = text
        for name, repair in _REPAIRS.items():
            mended = repair(text)
            if mended != text and name not in done:
                done.append(name)
            text = mended
        if text == before:
            break
    return text, done


def may_need_repair(texts: Any) -> Any:
    """Of an Arrow array of strings, which may be changed by `repair_text`, as an array of booleans; null is False.

    Clean ASCII needs no repair, which is cheap to see.
    """
    import pyarrow.compute as pc

    clean = pc.and_(
        pc.match_substring_regex(texts, r"\A[\t\n\x20-\x7e]*\z"),
        pc.invert(pc.match_substring_regex(texts, r"\A\s|\s\z|[\t ]\n")),
    )
    return pc.fill_null(pc.invert(clean), False)


def repair_row(row: Row) -> tuple[Row, list[str]]:
    """`row` with all its texts repaired, and the names of the repairs, each once."""
    done: list[str] = []

    def mend(text: str) -> str:
        mended, names = repair_text(text)
        done.extend(names)
        return mended

    mended = with_texts(row, mend)
    return mended, sorted(set(done))


def comparable(text: str) -> str:
    """The form in which texts are compared: compatibility characters, case and white space made equal."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _encoding(text: str) -> str:
    # A character of ASCII alone cannot be the trace of a wrong decoding, and ftfy takes a while to load.
    if text.isascii():
        return text
    import ftfy

    return str(ftfy.fix_encoding(text))


def _white_space(text: str) -> str:
    lines = _SPACES.sub(" ", text).split("\n")
    return "\n".join(line.rstrip() for line in lines).strip()


_REPAIRS: dict[str, Repair] = {
    "encoding": _encoding,
    "line_ends": lambda text: _LINE_ENDS.sub("\n", text),
    "control_characters": lambda text: _INVISIBLE.sub("", _CONTROL.sub("", text)),
    "unicode_form": lambda text: unicodedata.normalize("NFC", text),
    "white_space": _white_space,
}
