"""What texts are compared by: their runs of three words, as numbers, and MinHash sketches of them.

Two texts are near when the sets of their runs of three words overlap by at least a threshold (Jaccard similarity of
shingles; Broder 1997). A sketch keeps, for each of some random orders of all shingles, the first one that a text has;
equal runs of them, bands, make two texts candidates (Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, 3.4). A
whole batch is worked on at once in numpy: making one object per text would take ten times longer. The numbers are the
same on every machine.
"""

import hashlib
import math
import re
import sys
import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tunegate.errors import InputError

UNSPACED = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\u1780-\u17ff"  # Burmese, Khmer
    "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Japanese, Chinese
)
"""Scripts that put no space between words: each of their letters counts as a word."""
RUN = 3
"""Words of a shingle."""
_RECALL = 0.99
"""Share of the pairs at just the threshold that become candidates; of more similar pairs it is more."""
_MOST_ORDERS = 72
_TEXTS = 1_024
"""Texts whose characters are hashed together: they fit into a processor's cache."""

_OTHER, _LETTER, _LONE, _MARK = range(4)

Numbers = NDArray[np.uint64]
Counts = NDArray[np.int64]


class Plan(NamedTuple):
    """How a sketch is cut: `bands` bands of `rows` values each."""

    bands: int
    rows: int

    @property
    def columns(self) -> list[str]:
        """The names of the columns in which `sketched` puts the bands, and all of them together as one more.

        The last finds texts of equal shingles even where each single band is one that very many texts share.
        """
        return [*(f"band_{number}" for number in range(self.bands)), "all_bands"]

    def recall(self, similarity: float) -> float:
        """Chance that a pair of texts of this similarity agrees in at least one band."""
        return float(1 - (1 - similarity**self.rows) ** self.bands)


def plan_for(threshold: float) -> Plan:
    """The plan with the longest bands, so the fewest false candidates, that finds 99 % of the pairs at `threshold`.

    Raises InputError for a threshold that no 72 values can find.
    """
    for rows in range(_MOST_ORDERS, 0, -1):
        chance = threshold**rows
        bands = 1 if chance >= _RECALL else math.ceil(math.log(1 - _RECALL) / math.log1p(-chance))
        if bands * rows <= _MOST_ORDERS:
            return Plan(bands, rows)
    problem = f"cannot look for texts of so little similarity: {threshold:g}"
    raise InputError(problem, remedy="choose a threshold of at least 0.1")


def numbered(texts: Sequence[str]) -> tuple[Numbers, Counts]:
    """The shingles of all texts as numbers, one after the other and with repetitions, and where each text's start.

    Equal shingles have equal numbers; that two others share one is as unlikely as for 64 random bits.
    """
    parts = [_word_numbers(texts[first : first + _TEXTS]) for first in range(0, len(texts), _TEXTS)]
    values = np.concatenate([*(part for part, _ in parts), np.zeros(RUN - 1, dtype=np.uint64)])
    lengths = np.concatenate([*(part for _, part in parts), np.zeros(0, dtype=np.int64)])
    counts = np.maximum(1, lengths - RUN + 1)
    starts = np.cumsum(counts) - counts
    inside = np.arange(counts.sum()) - np.repeat(starts, counts)
    at = np.repeat(np.cumsum(lengths) - lengths, counts) + inside
    left = np.repeat(lengths, counts) - inside
    mixed: Numbers = np.zeros(len(at), dtype=np.uint64)
    for step in range(RUN):
        # A text of fewer words has zeros for the words that it lacks, not those of the text behind it.
        mixed = _mixed(mixed ^ np.where(left > step, values[at + step], np.uint64(0)))
    return mixed, starts


def sketched(texts: Sequence[str], plan: Plan) -> pa.RecordBatch:
    """A row for each text: `shingles`, a list of its numbers, and a number for each of the columns of `plan`.

    Those are null for an empty text: nothing is like it, not even another one.
    """
    values, starts = numbered(texts)
    offsets = pa.array(np.append(starts, len(values)), type=pa.int32())
    empty = np.array([not text or text.isspace() for text in texts], dtype=np.bool_)
    columns: list[pa.Array] = [pa.ListArray.from_arrays(offsets, pa.array(values))]
    together: Numbers = np.zeros(len(texts), dtype=np.uint64)
    for band in range(plan.bands):
        number: Numbers = np.zeros(len(texts), dtype=np.uint64)
        for order in range(band * plan.rows, (band + 1) * plan.rows):
            if len(texts):
                number = _mixed(number ^ np.minimum.reduceat(_ordered(values, order), starts))
        together = _mixed(together ^ number)
        columns.append(pa.array(number, mask=empty))
    return pa.RecordBatch.from_arrays([*columns, pa.array(together, mask=empty)], names=["shingles", *plan.columns])


def repetition(texts: Sequence[str]) -> NDArray[np.float64]:
    """For each text, the share of its runs of three words that occur in it before."""
    values, starts = numbered(texts)
    ends = np.append(starts, len(values))[1:]
    different = [len(np.unique(values[start:end])) for start, end in zip(starts, ends, strict=True)]
    return 1 - np.array(different, dtype=np.float64) / np.maximum(1, ends - starts)


def _is_mark(character: str) -> bool:
    return unicodedata.category(character)[0] == "M"


def _word_numbers(texts: Sequence[str]) -> tuple[Numbers, Counts]:
    """A number for each word of each text, and how many words each text has.

    Found and hashed in one array of all characters: a word's hash is that of all characters up to its end less that of
    those before it (Karp, Rabin 1987), modulo 2**64.
    """
    folded = [text.casefold() for text in texts]
    joined = "\n".join(folded) + "\n"
    ascii_only = joined.isascii()
    code = np.uint8 if ascii_only else np.uint32
    codes = np.frombuffer(joined.encode("ascii" if ascii_only else "utf-32-le", "surrogatepass"), dtype=code)
    starts, ends = _edges(_kinds(128 if ascii_only else sys.maxunicode + 1)[codes])
    upwards, downwards = _powers(len(codes).bit_length())
    so_far = np.zeros(len(codes) + 1, dtype=np.uint64)
    np.cumsum((codes.astype(np.uint64) + np.uint64(1)) * upwards[: len(codes)], out=so_far[1:])
    numbers = (so_far[ends] - so_far[starts]) * downwards[starts]
    numbers = _mixed(numbers ^ (ends - starts).astype(np.uint64)) | np.uint64(1)
    begins = np.cumsum(np.fromiter(map(len, folded), dtype=np.int64, count=len(folded)) + 1)
    counts = np.diff(np.searchsorted(starts, begins), prepend=0)
    wordless = np.flatnonzero(counts == 0)
    signs = np.array([_number(texts[place].strip()) for place in wordless.tolist()], dtype=np.uint64)
    numbers = np.insert(numbers, (np.cumsum(counts) - counts)[wordless], signs)
    return numbers, np.maximum(1, counts).astype(np.int64)


def _edges(kinds: NDArray[np.uint8]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where words start and end among characters of these `_kinds`, the last of which is of no word."""
    marks = kinds == _MARK
    if marks.any():
        # A mark belongs to what it stands on: to a letter, or to a sign that is of no word.
        kinds = kinds[np.maximum.accumulate(np.where(marks, 0, np.arange(len(kinds))))]
        kinds[kinds == _MARK] = _OTHER
    before = np.concatenate([[np.uint8(_OTHER)], kinds[:-1]])
    edges = (kinds != before) | ((kinds == _LONE) & ~marks)
    starts = np.flatnonzero(edges & (kinds != _OTHER))
    return starts, np.flatnonzero(edges & (before != _OTHER))


@cache
def _kinds(codes: int) -> NDArray[np.uint8]:
    """For each of the first code points, whether it is of a word, a word of its own, a mark or none of these."""
    characters = [chr(code) for code in range(codes)]
    table = np.fromiter(map(str.isalnum, characters), dtype=np.uint8, count=codes)
    table[ord("_")] = _LETTER
    if codes > 128:
        table[np.fromiter(map(_is_mark, characters), dtype=np.bool_, count=codes)] = _MARK
        for low, high in re.findall("(.)-(.)", UNSPACED):
            script = table[ord(low) : ord(high) + 1]
            script[script == _LETTER] = _LONE
    return table


@cache
def _powers(bits: int) -> tuple[Numbers, Numbers]:
    """The powers of an odd number and of its inverse, modulo 2**64, for arrays of up to 2**bits characters."""
    base = 0x9E3779B97F4A7C15
    inverse = pow(base, -1, 2**64)
    upwards: Numbers = np.cumprod(np.full(2**bits, base, dtype=np.uint64), dtype=np.uint64)
    downwards: Numbers = np.cumprod(np.full(2**bits, inverse, dtype=np.uint64), dtype=np.uint64)
    return upwards, downwards


def _number(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()) | 1


def _mixed(values: Numbers) -> Numbers:
    # The finalizer of splitmix64 (Steele, Lea, Flood 2014): every bit in changes half of the bits out.
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _ordered(values: Numbers, order: int) -> Numbers:
    """`values` in the random order with this number: multiply-shift hashing (Dietzfelbinger et al. 1997)."""
    change, factor = _mixed(np.array([2 * order, 2 * order + 1], dtype=np.uint64))
    ordered: Numbers = ((values ^ change) * (factor | np.uint64(1))) >> np.uint64(32)
    return ordered
