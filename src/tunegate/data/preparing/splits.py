"""Which split a row belongs to.

A group's split depends on its name, the key and the shares alone, so that rows added later never move an old one.
Reads and writes nothing.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from typing import Literal

from tunegate.data.preparing.cleaning import comparable
from tunegate.data.rows import Row
from tunegate.errors import InputError

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = ("train", "valid", "test")


def split_of(group: str, *, key: str, valid_share: float, test_share: float) -> Split:
    """The split of `group`: a keyed hash (HMAC-SHA256) as a point in [0, 1), test first, then valid, then train."""
    digest = hmac.new(key.encode(), group.encode(), hashlib.sha256).digest()
    point = int.from_bytes(digest[:8]) / 2**64
    if point < test_share:
        return "test"
    return "valid" if point < test_share + valid_share else "train"


def split_rows(
    rows: Iterable[Row], *, key: str, valid_share: float, test_share: float
) -> tuple[dict[Split, list[Row]], dict[str, str]]:
    """The rows of each split, and the rows left out: id to reason.

    A question that stands in the test split under another group's name is left out of valid and train, one of valid
    out of train: what the model is tested on, it may not have seen.
    """
    parted: dict[Split, list[Row]] = {name: [] for name in SPLITS}
    for row in rows:
        parted[split_of(row.group, key=key, valid_share=valid_share, test_share=test_share)].append(row)
    left_out: dict[str, str] = {}
    seen: dict[str, Split] = {}
    for name in reversed(SPLITS):
        kept = []
        for row in parted[name]:
            other = seen.get(comparable(row.question), name)
            if other == name:
                kept.append(row)
            else:
                left_out[row.id] = f"question_also_in_{other}"
        parted[name] = kept
        seen |= {comparable(row.question): name for row in kept}
    return parted, left_out


def check_not_empty(splits: Mapping[Split, list[Row]], shares: Mapping[Split, float], place: str) -> None:
    """Raise InputError when a split with a share above 0 has no rows."""
    groups = len({row.group for rows in splits.values() for row in rows})
    for name in SPLITS:
        if shares[name] > 0 and not splits[name]:
            problem = f"the {name} split is empty: {groups} groups, of which a share of {shares[name]:g} goes there"
            remedy = "add rows, raise the share, or choose another prepare.split_key"
            where = "train" if name == "train" else f"{name}_share"
            raise InputError(problem, place=f"{place}: prepare.{where}", remedy=remedy)
