import dataclasses

from miniature import Miniature

from tunegate.data.rows import Row
from tunegate.reporting import data_changes
from tunegate.reporting.data_changes import Count, Length, Move, RowChange, SplitChange, compare_rows
from tunegate.repository.outputs import open_outputs
from tunegate.repository.revisions import open_repository
from tunegate.repository.snapshot import Snapshot


def row(name: str, text: str = "", label: str = "roof") -> Row:
    return Row(name, name, "made", text=text or f"question {name}", label=label)


BEFORE = {"train": [row("a"), row("b"), row("c")], "valid": [], "test": [row("t")]}


def test_rows_are_added_removed_edited_and_moved_by_id() -> None:
    edited = dataclasses.replace(row("b", "another question"), label="heat")
    after = {"train": [edited, row("d")], "valid": [row("c")], "test": [row("t")]}
    found = compare_rows(BEFORE, after)
    assert found.added == [RowChange("d", "train", "question d", "roof")]
    assert [change.id for change in found.removed] == ["a"]
    assert [(edit.id, edit.fields) for edit in found.edited] == [
        ("b", {"question": ("question b", "another question"), "answer": ("roof", "heat")})
    ]
    assert found.moved == [Move("c", "train", "valid")]
    assert found.splits == [
        SplitChange("train", 3, 2, 1, 2, 1),
        SplitChange("valid", 0, 1, 1, 0, 0),
        SplitChange("test", 1, 1, 0, 0, 0),
    ]
    assert found.labels == [Count("heat", 0, 1), Count("roof", 4, 3)]


def test_lengths_are_medians_and_percentiles_of_both_sides() -> None:
    before = {"train": [row(str(n), "x" * n) for n in range(1, 101)]}
    after = {"train": [row("1", "one two three")]}
    assert compare_rows(before, after).lengths == [
        Length("characters", (50, 13), (95, 13)),
        Length("words", (1, 3), (1, 3)),
    ]


def test_without_rows_there_is_no_length_and_everything_is_new() -> None:
    found = compare_rows({}, BEFORE)
    assert (found.lengths[0].median[0], len(found.added), found.removed) == (None, 4, [])


def test_equal_hashes_are_equal_rows_and_other_rows_are_found(miniature: Miniature) -> None:
    miniature.train_on([f"another question {n}" for n in range(49)])
    miniature.commit("Other rows")
    repository = open_repository(miniature.root)
    with open_outputs(miniature.root) as outputs:
        before, after = (Snapshot(repository, repository.resolve(name), outputs) for name in ("HEAD~1", "HEAD"))
        found = data_changes.data_changes(before, after)
        assert found
        assert [(s.before, s.after, s.edited) for s in found.splits] == [(50, 49, 49), (0, 0, 0), (200, 200, 0)]
        same = data_changes.data_changes(after, after)
        assert same
        assert (same.same, same.added, same.edited) == (True, [], [])
