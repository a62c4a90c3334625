"""Bounds on how the data may change, judged on what tunegate.data.diff found between two commits.

Pure: takes the policy's section `data` and a comparison. A bound on a number that the commits do not have is not
passed in silence: it warns, and a shift that was not computed does what its bound says. Without a baseline only the
licences can be judged.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

from tunegate.data.diff.result import DataDiff, Pairs, Shift
from tunegate.gate.policy import DataPolicy, Limit
from tunegate.gate.verdict import GuardResult
from tunegate.text import listed

_SHOWN = 5
_PAIRS = {
    "max_new_leaks": ("new leaks", "leaks", "test or validation rows whose question another split repeats"),
    "max_leaks_left_out": ("leaks left out", "leaks_left_out", "new rows left out: test or validation asks the same"),
    "max_test_rows_seen": ("test rows seen", "seen", "new test rows that the baseline was trained on"),
    "max_new_duplicates": ("new duplicates", "duplicates", "new rows left out as duplicates"),
}
"""Key of the policy to the guard's name, the list of the comparison, and words for it."""


def decide_data(policy: DataPolicy, found: DataDiff) -> list[GuardResult]:
    """What the policy says of a change of data, in the policy's order."""
    return list(_results(policy, found))


def _results(policy: DataPolicy, found: DataDiff) -> Iterator[GuardResult]:
    if found.base is not None:
        yield from _of_rows(policy, found)
        if policy.max_drift:
            yield _drift(policy.max_drift, found)
        for key, (name, field, words) in _PAIRS.items():
            limit: Limit | None = getattr(policy, key)
            if limit:
                yield _pairs(name, words, limit, getattr(found, field))
        if policy.max_quarantined_share_increase:
            yield _quarantine(policy.max_quarantined_share_increase, found)
        if policy.personal_data != "allow":
            yield _personal(Limit(limit=0, action=policy.personal_data), found)
    if policy.licenses:
        allowed = set(policy.licenses.allowed)
        wrong = [s for s in found.sources if s.change != "removed" and s.license_after not in allowed]
        said = listed([f"{s.name} ({s.license_after or 'none declared'})" for s in wrong], _SHOWN)
        words = f"sources under a licence that is not allowed: {said or 'none'}"
        yield _judged("licences", words, Limit(limit=0, action=policy.licenses.action), len(wrong))


def _of_rows(policy: DataPolicy, found: DataDiff) -> Iterator[GuardResult]:
    whole = found.total("before")
    for name, limit in (("removed", policy.max_removed_share), ("edited", policy.max_edited_share)):
        if limit:
            count = found.total("removed" if name == "removed" else "edited")
            share = count / whole if whole else 0.0
            said = f"rows {name}: {count:,} of {whole:,}, {_percent(share)} (at most {_percent(limit.limit)})"
            yield _judged(f"{name} rows", said, limit, share)


def _drift(limit: Limit, found: DataDiff) -> GuardResult:
    whole = [shift for shift in found.shifts if shift.of == "all rows"]
    known = [shift for shift in whole if shift.low is not None]
    missing = [shift.name for shift in whole if shift.verdict == "not computed"]
    most: Shift | None = max(known, key=lambda shift: shift.low or 0.0, default=None)
    said = "too few rows to tell" if most is None else _largest(most)
    if missing and (most is None or (most.low or 0.0) <= limit.limit):
        # A shift that nobody looked for is not within its bound.
        problem = f"shift of the data: not computed of {listed(missing, _SHOWN)}; of the others: {said}"
        return _unknown("drift", problem, limit, "refused" if limit.action == "refuse" else "warning")
    if most is None:
        if not found.same:
            return _unknown("drift", f"shift of the data: {said}", limit)
        return _judged("drift", "shift of the data: none, the bytes are the same", limit, 0.0)
    said = f"largest shift of the data: {said} (lower end at most {limit.limit:g})"
    return _judged("drift", said, limit, most.low or 0.0)


def _largest(shift: Shift) -> str:
    return f"{shift.name}, {shift.measure} {shift.effect:.2f}, 95 % interval {shift.low:.2f} to {shift.high:.2f}"


def _pairs(name: str, words: str, limit: Limit, found: Pairs) -> GuardResult:
    shown = _named([f"{pair.id} = {pair.other}" for pair in found.pairs], found.count)
    return _judged(name, f"{words}: {found.count:,} (at most {limit.limit:g}){shown}", limit, found.count)


def _quarantine(limit: Limit, found: DataDiff) -> GuardResult:
    held = found.quarantine
    if held is None or not held.checked_before or not held.checked_after:
        return _unknown("quarantine", "share of rows in quarantine: not recorded on both sides", limit)
    said = f"rows in quarantine: {held.before:,} of {held.checked_before:,} before, {held.after:,} of "
    said += f"{held.checked_after:,} now (the share may rise by {_percent(limit.limit)})"
    return _judged("quarantine", said, limit, held.share_increase)


def _personal(limit: Limit, found: DataDiff) -> GuardResult:
    if found.personal_data is None:
        return _unknown("personal data", "personal data: the candidate's data/prepared does not record it", limit)
    count = found.personal_data.new_rows
    said = f"new rows with personal data or secrets: {count:,}{_named(found.personal_data.ids, count)}"
    return _judged("personal data", said, limit, count)


def _judged(name: str, sentence: str, limit: Limit, measured: float) -> GuardResult:
    over = "refused" if limit.action == "refuse" else "warning"
    return GuardResult(
        name=name,
        candidate=measured,
        baseline=None,
        limit=limit.limit,
        outcome=over if measured > limit.limit else "pass",
        sentence=sentence,
    )


def _unknown(name: str, sentence: str, limit: Limit, outcome: Literal["warning", "refused"] = "warning") -> GuardResult:
    return GuardResult(name=name, candidate=None, baseline=None, limit=limit.limit, outcome=outcome, sentence=sentence)


def _named(first: Sequence[str], count: int) -> str:
    more = f" and {count - _SHOWN:,} more" if count > _SHOWN else ""
    return f": {', '.join(first[:_SHOWN])}{more}" if first else ""


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
