from typing import Any

from data_change import empty, shift

from tunegate.gate.data_guards import decide_data
from tunegate.gate.policy import DataPolicy
from tunegate.gate.verdict import GuardResult

ROWS = {"before": 100, "after": 80, "added": 10, "removed": 30, "edited": 5}


def decide(policy: dict[str, Any], **changes: Any) -> GuardResult:
    (found,) = decide_data(DataPolicy.model_validate(policy), empty(**changes))
    return found


def bound(limit: float, action: str = "refuse") -> dict[str, Any]:
    return {"limit": limit, "action": action}


def pairs(count: int) -> dict[str, Any]:
    named = [{"id": f"a{n}", "other": f"b{n}", "kind": "in train", "similarity": 1.0} for n in range(count)]
    return {"count": count, "pairs": named}


def test_a_share_of_rows_that_is_gone_is_held_to_its_bound_and_moved_rows_are_not_gone() -> None:
    rows = [ROWS | {"name": "train"}, {"name": "ingested"} | dict.fromkeys(ROWS, 1000)]
    policy = {"max_removed_share": bound(0.25)}
    assert decide(policy, rows=rows).outcome == "refused"
    found = decide(policy, rows=rows, moved_count=5)
    assert (found.outcome, found.candidate) == ("pass", 0.25)
    assert "25 of 100" in found.sentence
    assert decide({"max_edited_share": bound(0.04, "warn")}, rows=rows).outcome == "warning"


def test_drift_counts_only_where_the_whole_interval_is_beyond_the_bound() -> None:
    policy = {"max_drift": bound(0.15)}
    assert decide(policy, shifts=[shift(low=0.15, high=0.9)]).outcome == "pass"
    found = decide(policy, shifts=[shift(), shift(name="source", low=0.16), shift(of="new rows", low=0.9)])
    assert found.outcome == "refused"
    assert (found.candidate, "source" in found.sentence) == (0.16, True)


def test_a_number_that_the_commits_do_not_have_is_not_passed_in_silence() -> None:
    for policy in (
        {"max_drift": bound(0.3)},
        {"max_quarantined_share_increase": bound(0)},
        {"personal_data": "refuse"},
    ):
        assert decide(policy).outcome == "warning"
    assert decide({"max_drift": bound(0.3)}, same=True).outcome == "pass"


def test_a_shift_that_was_not_computed_does_what_the_bound_says_and_names_it() -> None:
    missing = shift(low=None, effect=None, high=None, verdict="not computed")
    shifts = [missing, shift(name="source", low=0.01)]
    for action, outcome in (("refuse", "refused"), ("warn", "warning")):
        found = decide({"max_drift": bound(0.3, action)}, shifts=shifts)
        assert found.outcome == outcome
        assert ("label" in found.sentence, "source" in found.sentence) == (True, True)
    beyond = decide({"max_drift": bound(0.3, "warn")}, shifts=[missing, shift(name="source", low=0.4)])
    assert (beyond.outcome, beyond.candidate) == ("warning", 0.4)


def test_every_kind_of_pair_has_a_bound_of_its_own_that_names_the_pairs() -> None:
    bounds = {
        "max_new_leaks": "leaks",
        "max_leaks_left_out": "leaks_left_out",
        "max_test_rows_seen": "seen",
        "max_new_duplicates": "duplicates",
    }
    for key, field in bounds.items():
        found = decide({key: bound(6)}, **{field: pairs(7)})
        assert found.outcome == "refused", key
        assert (found.candidate, found.limit) == (7, 6)
        assert all(f"a{n} = b{n}" in found.sentence for n in range(5))
        assert "a5" not in found.sentence
        assert decide({key: bound(7)}, **{field: pairs(7)}).outcome == "pass"


def test_a_share_of_quarantined_rows_may_rise_by_so_much() -> None:
    held = {"before": 10, "after": 30, "checked_before": 1000, "checked_after": 1000, "new": []}
    assert decide({"max_quarantined_share_increase": bound(0.02)}, quarantine=held).outcome == "pass"
    assert decide({"max_quarantined_share_increase": bound(0.019)}, quarantine=held).outcome == "refused"


def test_new_rows_with_personal_data_do_what_the_policy_says() -> None:
    met = {"kinds": [], "new_rows": 1, "ids": ["a"]}
    assert decide({"personal_data": "refuse"}, personal_data=met).outcome == "refused"
    assert decide({"personal_data": "warn"}, personal_data=met).outcome == "warning"
    assert decide_data(DataPolicy(personal_data="allow"), empty(personal_data=met)) == []


def test_a_licence_that_is_not_allowed_counts_also_without_a_base_and_a_source_that_is_gone_does_not() -> None:
    source = {"before": None, "after": None, "license_before": "X"}
    sources = [
        source | {"name": "one", "license_after": None, "change": "added"},
        source | {"name": "two", "license_after": "MIT", "change": "same"},
        source | {"name": "old", "license_after": None, "change": "removed"},
    ]
    policy = {"max_drift": bound(0), "licenses": {"allowed": ["MIT"], "action": "refuse"}}
    found = decide(policy, base=None, sources=sources)
    assert (found.outcome, found.candidate) == ("refused", 1)
    assert [name in found.sentence for name in ("one", "two", "old")] == [True, False, False]
