from miniature import Miniature

from tunegate.files import read_text, write_text
from tunegate.reporting.params_changes import (
    Change,
    file_changes,
    keyed_changes,
    other_files,
    package_changes,
)
from tunegate.repository.outputs import Outputs
from tunegate.repository.revisions import open_repository
from tunegate.repository.snapshot import Snapshot

NONE = "\N{EN DASH}"


def snapshots(miniature: Miniature, *revisions: str | None) -> list[Snapshot]:
    repository = open_repository(miniature.root)
    outputs = Outputs(miniature.root, miniature.root / ".tunegate/outputs")
    return [Snapshot(repository, name and repository.resolve(name), outputs) for name in revisions]


def test_keys_are_compared_with_their_values_as_written() -> None:
    old = {"train": {"rate": 0.1, "gone": True, "n": 1}, "same": [1, 2]}
    new = {"train": {"rate": 0.2, "n": 1.0, "new": None}, "same": [1, 2]}
    assert keyed_changes(old, new) == [
        Change("train.rate", "0.1", "0.2"),
        Change("train.n", "1", "1.0"),
        Change("train.new", NONE, "null"),
        Change("train.gone", "true", NONE),
    ]


def test_a_named_item_is_found_under_its_name_and_of_a_list_only_the_difference_is_shown() -> None:
    old = {"sources": [{"name": "a", "path": "x"}], "deps": ["one", "two"]}
    new = {"sources": [{"name": "b", "path": "y"}, {"name": "a", "path": "z"}], "deps": ["two", "three"]}
    assert keyed_changes(old, new) == [
        Change("sources[b].path", NONE, "y"),
        Change("sources[a].path", "x", "z"),
        Change("deps", "one", "three"),
    ]


def test_lines_of_a_command_are_joined() -> None:
    assert keyed_changes({"cmd": "a\n  b"}, {"cmd": "a\n  c"}) == [Change("cmd", "a b", "a c")]


def test_the_files_that_differ_are_listed_in_their_order_and_no_others(miniature: Miniature) -> None:
    miniature.change(train__learning_rate=0.5)
    policy = miniature.root / "policy/gate.yaml"
    write_text(policy, read_text(policy).replace("margin: 0.05", "margin: 0.2") + "# a comment\n")
    miniature.commit("Two files", repro=False)
    found = file_changes(*snapshots(miniature, "HEAD~1", "HEAD"))
    assert [(item.path, item.changes) for item in found] == [
        ("params.yaml", [Change("train.learning_rate", "0.002", "0.5")]),
        ("policy/gate.yaml", [Change("metrics.accuracy.margin", "0.05", "0.2")]),
    ]


def test_a_file_that_cannot_be_read_at_one_side_is_reported(miniature: Miniature) -> None:
    write_text(miniature.root / "data/sources.yaml", "sources: [\n")
    miniature.commit("Broken", repro=False)
    (found,) = file_changes(*snapshots(miniature, "HEAD~1", "HEAD"))
    assert found.changes[0].new.startswith("cannot be read:")


def test_packages_are_compared_by_version(miniature: Miniature) -> None:
    lock = miniature.root / "requirements/pipeline.txt"
    write_text(lock, "torch==2.13.0 \\\n    --hash=sha256:aa\nold==1\nsame==3\n")
    miniature.commit("One", repro=False)
    write_text(lock, "torch==2.14.0 \\\n    --hash=sha256:bb\nnew==2 ; sys_platform == 'x'\nsame==3\n")
    miniature.commit("Two", repro=False)
    found = package_changes(*snapshots(miniature, "HEAD~1", "HEAD"))
    assert found == [Change("new", NONE, "2"), Change("old", "1", NONE), Change("torch", "2.13.0", "2.14.0")]


def test_other_files_are_counted_by_folder_in_the_working_tree_too(miniature: Miniature) -> None:
    write_text(miniature.root / "docs/data.md", "new\n")
    write_text(miniature.root / "Makefile", "new\n")
    write_text(miniature.root / "params.yaml", read_text(miniature.root / "params.yaml") + "# said above\n")
    assert other_files(*snapshots(miniature, "HEAD", None)) == {".": 1, "docs": 1}
    miniature.commit("Docs", repro=False)
    assert other_files(*snapshots(miniature, "HEAD~1", "HEAD")) == {".": 1, "docs": 1}
