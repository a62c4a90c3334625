import copy
import os
from pathlib import Path
from typing import Any

import pytest
from miniature import Miniature

from tunegate.errors import InputError
from tunegate.files import write_yaml
from tunegate.repository.lock import Entry, parse_lock
from tunegate.repository.runs import HERE, Runs, key_of


def entry_of(miniature: Miniature, stage: str) -> Entry:
    return parse_lock((miniature.root / "dvc.lock").read_text(), place="")[stage]


def changed(entry: Entry, kind: str, **values: Any) -> Entry:
    """The entry with other values in its first dependency or output."""
    raw = copy.deepcopy(entry.raw)
    raw[kind][0] |= values
    return Entry(entry.stage, raw)


def file_of(miniature: Miniature, entry: Entry) -> Path:
    return miniature.root / ".dvc/cache/runs" / Runs._name(entry.raw)


def remember(miniature: Miniature, entry: Entry, *, time: float) -> None:
    """Write a run into the cache as DVC does."""
    write_yaml(file_of(miniature, entry), entry.raw)
    os.utime(file_of(miniature, entry), (time, time))


def test_a_key_is_of_what_was_run_on_and_not_of_what_came_out(first_miniature: Miniature) -> None:
    entry = entry_of(first_miniature, "train")
    key = key_of(entry.raw)
    for same in (changed(entry, "outs", md5="0" * 32), changed(entry, "deps", size=7)):
        assert key_of(same.raw) == key
    for other in (changed(entry, "outs", path="x"), changed(entry, "deps", md5="0" * 32)):
        assert key_of(other.raw) != key


def test_only_a_run_with_these_outputs_is_remembered(first_miniature: Miniature) -> None:
    entry, runs = entry_of(first_miniature, "train"), Runs(first_miniature.root, remote=False)
    assert runs.find(entry) == HERE
    assert runs.find(changed(entry, "outs", md5="0" * 32 + ".dir")) == ""
    assert runs.find(changed(entry, "deps", md5="0" * 32)) == ""


def test_a_file_with_the_run_of_another_stage_is_refused(miniature: Miniature) -> None:
    entry, other = (entry_of(miniature, stage) for stage in ("train", "package"))
    file_of(miniature, entry).write_bytes(file_of(miniature, other).read_bytes())
    with pytest.raises(InputError, match="not the run of `train`") as caught:
        Runs(miniature.root, remote=False).find(entry)
    assert caught.value.place == str(file_of(miniature, entry))


def test_of_several_results_of_one_run_the_newest_whose_outputs_are_here_is_restored(miniature: Miniature) -> None:
    entry, runs = entry_of(miniature, "package"), Runs(miniature.root, remote=False)
    other = entry_of(miniature, "train").outs["models/adapter"].md5
    newer, lost = (changed(entry, "outs", md5=md5) for md5 in (other, "0" * 32 + ".dir"))
    for age, one in enumerate((lost, newer, entry)):
        remember(miniature, one, time=2_000_000_000 - age)
    key = key_of(entry.raw)
    outputs = {raw["outs"][0]["md5"] for raw in runs.with_key(key)}
    assert outputs == {other, entry.raw["outs"][0]["md5"]}
    assert runs.newest(key) == newer.raw
    file_of(miniature, newer).write_text("half: [")
    assert runs.newest(key) == entry.raw
    assert runs.newest("0" * 64) is None


def test_why_no_remote_is_asked_is_told(first_miniature: Miniature) -> None:
    assert "not asked" in Runs(first_miniature.root, remote=False).no_remote
    assert "no DVC remote" in Runs(first_miniature.root).no_remote
