"""Bounds on how the data may change, decided on the comparison of two commits' data.

A bound on a number that the commits do not have is not passed in silence: it warns, and a shift that was not computed
does what its bound says. Without a baseline only the licences can be judged.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

from tunegate.data.diff.result import DataDiff, Pairs, Shift
from tunegate.gate.guards import percent
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


def decide_data(policy: DataPolicy, diff: DataDiff) -> list[GuardResult]:
    """What the policy says of a change of data, in the policy's order."""
    return list(_results(policy, diff))


def _results(policy: DataPolicy, diff: DataDiff) -> Iterator[GuardResult]:
    if diff.base is not None:
        yield from _row_shares(policy, diff)
        if policy.max_drift:
            yield _drift(policy.max_drift, diff)
        for key, (name, field, words) in _PAIRS.items():
            limit: Limit | None = getattr(policy, key)
            if limit:
                yield _pairs(name, words, limit, getattr(diff, field))
        if policy.max_quarantined_share_increase:
            yield _quarantine(policy.max_quarantined_share_increase, diff)
        if policy.personal_data != "allow":
            yield _personal(Limit(limit=0, action=policy.personal_data), diff)
    if policy.licenses:
        allowed = set(policy.licenses.allowed)
        wrong = [s for s in diff.sources if s.change != "removed" and s.license_after not in allowed]
        names = listed([f"{s.name} ({s.license_after or 'none declared'})" for s in wrong], _SHOWN)
        sentence = f"sources under a licence that is not allowed: {names or 'none'}"
        yield _result("licences", sentence, Limit(limit=0, action=policy.licenses.action), len(wrong))


def _row_shares(policy: DataPolicy, diff: DataDiff) -> Iterator[GuardResult]:
    whole = diff.total("before")
    for name, limit in (("removed", policy.max_removed_share), ("edited", policy.max_edited_share)):
        if limit:
            count = diff.total("removed" if name == "removed" else "edited")
            share = count / whole if whole else 0.0
            sentence = f"rows {name}: {count:,} of {whole:,}, {percent(share)} (at most {percent(limit.limit)})"
            yield _result(f"{name} rows", sentence, limit, share)


def _drift(limit: Limit, diff: DataDiff) -> GuardResult:
    shifts = [shift for shift in diff.shifts if shift.of == "all rows"]
    missing = [shift.name for shift in shifts if shift.verdict == "not computed"]
    computed = [shift for shift in shifts if shift.low is not None]
    largest: Shift | None = max(computed, key=lambda shift: shift.low or 0.0, default=None)
    sentence = "too few rows to tell" if largest is None else _largest(largest)
    if missing and (largest is None or (largest.low or 0.0) <= limit.limit):
        # A shift that was not computed is not within its bound.
        problem = f"shift of the data: not computed for {listed(missing, _SHOWN)}; the others: {sentence}"
        return _unknown("drift", problem, limit, "refused" if limit.action == "refuse" else "warning")
    if largest is None:
        if not diff.same:
            return _unknown("drift", f"shift of the data: {sentence}", limit)
        return _result("drift", "shift of the data: none, the bytes are the same", limit, 0.0)
    sentence = f"largest shift of the data: {sentence} (lower end at most {limit.limit:g})"
    return _result("drift", sentence, limit, largest.low or 0.0)


def _largest(shift: Shift) -> str:
    return f"{shift.name}, {shift.measure} {shift.effect:.2f}, 95 % interval {shift.low:.2f} to {shift.high:.2f}"


def _pairs(name: str, words: str, limit: Limit, pairs: Pairs) -> GuardResult:
    ids = _ids([f"{pair.id} = {pair.other}" for pair in pairs.pairs], pairs.count)
    return _result(name, f"{words}: {pairs.count:,} (at most {limit.limit:g}){ids}", limit, pairs.count)


def _quarantine(limit: Limit, diff: DataDiff) -> GuardResult:
    counts = diff.quarantine
    if counts is None or not counts.checked_before or not counts.checked_after:
        return _unknown("quarantine", "share of rows in quarantine: not recorded on both sides", limit)
    sentence = f"rows in quarantine: {counts.before:,} of {counts.checked_before:,} before, {counts.after:,} of "
    sentence += f"{counts.checked_after:,} now (the share may rise by {percent(limit.limit)})"
    return _result("quarantine", sentence, limit, counts.share_increase)


def _personal(limit: Limit, diff: DataDiff) -> GuardResult:
    if diff.personal_data is None:
        return _unknown("personal data", "personal data: the candidate's data/prepared does not record it", limit)
    count = diff.personal_data.new_rows
    sentence = f"new rows with personal data or secrets: {count:,}{_ids(diff.personal_data.ids, count)}"
    return _result("personal data", sentence, limit, count)


def _result(name: str, sentence: str, limit: Limit, measured: float) -> GuardResult:
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


def _ids(first: Sequence[str], count: int) -> str:
    more = f" and {count - _SHOWN:,} more" if count > _SHOWN else ""
    return f": {', '.join(first[:_SHOWN])}{more}" if first else ""
