from collections.abc import Iterator

import pytest
from miniature import Miniature

from tunegate.data.diff.result import Count
from tunegate.files import read_json, write_json
from tunegate.reporting.run_changes import (
    Cost,
    StageChange,
    costs,
    ledger_changes,
    lineage_in,
    trajectory_of,
)
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


def test_reasons_are_compared_stage_by_stage(miniature: Miniature, outputs: Outputs) -> None:
    path = miniature.root / "inputs/reports/data.json"
    stage = {"stage": "prepare", "rows": {"in": 10, "out": 7}, "reasons": {"duplicate": 2, "left_out": 1}}
    write_json(path, {"rows": {"in": 10, "out": 7}, "stages": [stage]})
    miniature.commit("Duplicates")
    found = ledger_changes(at(miniature, outputs, "HEAD~1"), at(miniature, outputs, "HEAD"))
    counts = [Count(name="duplicate", before=0, after=2), Count(name="left out", before=0, after=1)]
    assert found[0] == StageChange(
        "prepare",
        None,
        (10, 7),
        counts,
    )
    assert [stage.stage for stage in found] == ["prepare", "tokenize"]


def test_a_cost_that_an_old_commit_did_not_record_is_shown_as_such(miniature: Miniature, outputs: Outputs) -> None:
    path = miniature.root / "inputs/reports/timings.json"
    old = {key: value for key, value in read_json(path).items() if key not in ("train", "evaluate")}
    write_json(path, old)
    miniature.commit("As long ago")
    miniature.spend(seconds=75)
    miniature.commit("As now")
    found = {c.name: c for c in costs(at(miniature, outputs, "HEAD~1"), at(miniature, outputs, "HEAD"))}
    assert found["Training, time"] == Cost("Training, time", "not recorded", "1 min 15 s", "")
    assert found["Package"].change == "±0 %"
    again = {c.name: c for c in costs(at(miniature, outputs, "HEAD~2"), at(miniature, outputs, "HEAD"))}
    assert again["Training, time"] == Cost("Training, time", "10.0 s", "1 min 15 s", "+650 %")


def test_the_course_of_a_training_is_the_locked_one(miniature: Miniature, outputs: Outputs) -> None:
    snapshot = at(miniature, outputs, "HEAD")
    (miniature.root / "models/trajectory.csv").unlink()
    assert [point["loss"] for point in trajectory_of(snapshot)] == [2.5, 1.25]


def test_without_a_commit_there_is_nothing_to_tell(miniature: Miniature, outputs: Outputs) -> None:
    assert (trajectory_of(None), lineage_in(None), lineage_in(at(miniature, outputs, "HEAD"))) == ([], None, None)
