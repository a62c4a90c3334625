from collections.abc import Iterator

import pytest
from data_change import empty, shift
from miniature import Miniature

from tunegate.data.diff.result import Pairs, PersonalData, Quarantine
from tunegate.files import read_json, write_json
from tunegate.reporting.data_changes import data_view, diff_of
from tunegate.repository.outputs import Outputs, open_outputs
from tunegate.repository.revisions import open_repository
from tunegate.repository.snapshot import Snapshot


@pytest.fixture
def outputs(miniature: Miniature) -> Iterator[Outputs]:
    with open_outputs(miniature.root) as found:
        yield found


def at(miniature: Miniature, outputs: Outputs, revision: str) -> Snapshot:
    repository = open_repository(miniature.root)
    return Snapshot(repository, repository.resolve(revision), outputs)


def test_what_must_be_looked_at_is_an_alarm_and_what_is_new_a_notice() -> None:
    leak = Pairs.model_validate(
        {"count": 1, "pairs": [{"id": "a", "other": "b", "kind": "in train", "similarity": 1.0}]}
    )
    held = Quarantine(before=1, after=3, checked_before=10, checked_after=12, new=[])
    met = PersonalData(kinds=[], new_rows=2, ids=["a", "b"])
    view = data_view(empty(leaks=leak, duplicates=leak, quarantine=held, personal_data=met))
    tones = {tile.name: tile.tone for tile in view.tiles}
    assert [tones[name] for name in ("new leaks", "quarantine", "personal data")] == ["alarm"] * 3
    assert (tones["new duplicates"], tones["added"]) == ("notice", "")
    assert next(tile.value for tile in view.tiles if tile.name == "quarantine") == "+2"


def test_a_shift_without_numbers_has_no_drawing() -> None:
    drawn, unknown = data_view(
        empty(shifts=[shift(), shift(effect=None, low=None, high=None, verdict="too few rows to tell")])
    ).shifts
    assert (drawn.effect, drawn.bounds, drawn.tone) == ("0.20", "0.15 to 0.25", "warning")
    assert "<svg" in drawn.plot
    assert (unknown.effect, unknown.plot) == ("", "")


def test_the_difference_of_two_commits_is_of_their_locked_rows(miniature: Miniature, outputs: Outputs) -> None:
    miniature.train_on([f"another question {n}" for n in range(49)])
    miniature.commit("Other rows")
    before, after = at(miniature, outputs, "HEAD~1"), at(miniature, outputs, "HEAD")
    found = diff_of(before, after)
    assert [(s.before, s.after, s.edited) for s in found.splits] == [(50, 49, 49), (0, 0, 0), (200, 200, 0)]
    same = diff_of(after, after)
    assert (same.same, same.total("added"), same.shifts) == (True, 0, [])


def test_minutes_are_forecast_from_the_tokens_of_the_head_and_the_history_of_the_base(
    miniature: Miniature, outputs: Outputs
) -> None:
    ledger = miniature.root / "inputs/tokens/ledger.json"
    value = read_json(ledger)
    write_json(ledger, value | {"notes": value["notes"] | {"train_tokens_out": 102_400}})
    miniature.commit("Twenty times the tokens")
    before, after = at(miniature, outputs, "HEAD~1"), at(miniature, outputs, "HEAD")
    (cost,) = diff_of(before, after).forecast
    epochs = after.params.train.epochs
    assert (cost.minutes_before, cost.stage) == (0.17, "train")
    assert cost.minutes_after == pytest.approx(10 * 102_400 * epochs / 5120 / 60, abs=0.01)
    assert diff_of(None, after).forecast == []
