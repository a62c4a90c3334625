import hashlib
import itertools
import json
import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tunegate.errors import InputError
from tunegate.repository.lock import Entry, Lock, dump_lock, parse_lock
from tunegate.repository.lock_merge import Merged, merge
from tunegate.repository.runs import key_of

Config = dict[str, Any]
"""A project: the content of its sources, and its stages' parameters."""

STAGES = {
    "prepare": ("prepared", ["raw"]),
    "tokenize": ("tokens", ["prepared", "template"]),
    "train": ("adapter", ["tokens", "code"]),
    "evaluate": ("predictions", ["adapter", "prepared/test", "code"]),
    "package": ("package", ["adapter"]),
}
START: Config = {
    **dict.fromkeys(("raw", "template", "code"), 0),
    **{name: {"a": 0, "b": 0} for name in STAGES},
}


def md5(value: object) -> str:
    return hashlib.md5(json.dumps(value, sort_keys=True).encode()).hexdigest()


def outcome(name: str, deps: Mapping[str, str], params: Mapping[str, Any]) -> str:
    """What a stage makes: the parameter `b` is one that its output does not depend on, as some are."""
    return md5([name, sorted(deps.items()), params["a"]])


def locked(path: str, content: str) -> dict[str, Any]:
    return {"path": path, "hash": "md5", "md5": content, "size": 1}


def run(config: Config, memory: dict[str, list[dict[str, Any]]] | None = None) -> dict[str, Entry]:
    """The lock that running everything gives; the runs go into `memory`."""
    outputs: dict[str, str] = {}
    lock = {}
    for name, (out, sources) in STAGES.items():
        deps = {}
        for path in sources:
            top = path.split("/")[0]
            deps[path] = (
                (outputs[top] if path == top else md5([outputs[top], path])) if top in outputs else md5(config[path])
            )
        outputs[out] = outcome(name, deps, config[name])
        raw = {
            "cmd": f"run {name}",
            "deps": [locked(path, deps[path]) for path in sorted(deps)],
            "params": {"params.yaml": {name: dict(config[name])}},
            "outs": [locked(out, outputs[out])],
        }
        lock[name] = Entry(name, raw)
        if memory is not None and raw not in (known := memory.setdefault(key_of(raw), [])):
            known.append(raw)
    return lock


def changed(config: Config, **values: Any) -> Config:
    """The project with other values: `code=1`, `train__a=2`."""
    new = json.loads(json.dumps(config))
    for name, value in values.items():
        section, _, key = name.partition("__")
        if key:
            new[section][key] = value
        else:
            new[section] = value
    return dict(new)


def remembers(memory: dict[str, list[dict[str, Any]]]) -> Callable[[str], list[dict[str, Any]]]:
    return lambda key: memory.get(key, [])


def merged(ours: Lock, theirs: Lock, *, base: Lock | None = None, memory: Any = None) -> Merged:
    return merge(run(START) if base is None else base, ours, theirs, remembers(memory or {}))


def test_a_stage_that_one_side_left_alone_is_the_others() -> None:
    ours, theirs = run(changed(START, package__a=1)), run(changed(START, evaluate__a=1))
    result = merged(ours, theirs)
    assert result.lock == run(changed(START, package__a=1, evaluate__a=1))
    assert not result.dropped
    assert list(result.lock) == list(STAGES)


def test_what_git_would_mix_is_dropped_with_all_that_follows() -> None:
    # The training parameter leaves the adapter as it is; the data parameter changes all that follows.
    ours, theirs = run(changed(START, prepare__a=1)), run(changed(START, train__b=1))
    result = merged(ours, theirs)
    assert list(result.lock) == ["prepare", "tokenize"]
    assert result.lock["tokenize"] == ours["tokenize"]
    assert result.dropped == {
        "train": "both sides changed it",
        "evaluate": "it was run on adapter, and `train` is dropped",
        "package": "it was run on adapter, and `train` is dropped",
    }


def test_a_combination_that_was_run_before_is_restored() -> None:
    memory: dict[str, list[dict[str, Any]]] = {}
    both = run(changed(START, prepare__a=1, train__b=1), memory)
    ours, theirs = run(changed(START, prepare__a=1), memory), run(changed(START, train__b=1), memory)
    result = merged(ours, theirs, memory=memory)
    assert result.lock == both
    assert result.restored == {"train": "both sides changed it"}


def test_two_results_of_one_run_are_left_to_dvc() -> None:
    memory: dict[str, list[dict[str, Any]]] = {}
    both = run(changed(START, prepare__a=1, train__b=1), memory)
    other = json.loads(json.dumps(both["train"].raw))
    other["outs"][0]["md5"] = md5("another result of the same run")
    memory[key_of(other)].append(other)
    result = merged(run(changed(START, prepare__a=1)), run(changed(START, train__b=1)), memory=memory)
    assert "train" in result.dropped


def test_changed_equally_is_no_conflict() -> None:
    ours = run(changed(START, prepare__a=1))
    assert merged(ours, run(changed(START, prepare__a=1, package__a=3))).lock == run(
        changed(START, prepare__a=1, package__a=3)
    )


def test_a_removed_stage_stays_removed_unless_the_other_side_changed_it() -> None:
    full = run(START)
    without = {name: entry for name, entry in full.items() if name != "package"}
    assert merged(without, full).lock == without
    result = merged(without, run(changed(START, package__a=1)), memory={})
    assert result.dropped == {"package": "one side removed it, the other changed it"}


def test_a_new_stage_on_one_side_is_kept_when_it_fits() -> None:
    base = {name: entry for name, entry in run(START).items() if name != "package"}
    theirs = run(START)
    assert merged(base, theirs, base=base).lock == theirs
    moved = {n: e for n, e in run(changed(START, train__a=1)).items() if n != "package"}
    assert merged(moved, theirs, base=base).dropped == {"package": "it was run on another adapter than `train` makes"}


def test_a_stale_entry_of_one_side_is_dropped_where_its_input_is_made_anew() -> None:
    new, old = run(changed(START, prepare__a=1)), run(START)
    ours = {name: (new if name == "prepare" else old)[name] for name in STAGES}
    assert set(merged(ours, old).dropped) == set(STAGES) - {"prepare"}


def test_locks_that_are_a_cycle_together_are_not_merged() -> None:
    def stage(name: str, dep: str, out: str) -> Entry:
        return Entry(name, {"cmd": name, "deps": [locked(dep, "0" * 32)], "outs": [locked(out, "1" * 32)]})

    ours = {"one": stage("one", "x", "y"), "two": stage("two", "y", "z")}
    theirs = {"one": stage("one", "z", "y"), "two": stage("two", "w", "z")}
    with pytest.raises(InputError, match="together the two sides are a cycle"):
        merge({}, ours, theirs, remembers({}))


def test_a_merged_lock_reads_back_as_it_was() -> None:
    lock = merged(run(changed(START, package__a=1)), run(START)).lock
    assert parse_lock(dump_lock(lock), place="") == lock


@pytest.mark.parametrize("seed", range(60))
def test_no_merge_of_random_histories_ever_names_a_run_of_anything_but_the_merged_project(seed: int) -> None:
    chance = random.Random(seed)
    knobs = ["raw", "template", "code", *(f"{name}__{key}" for name in STAGES for key in "ab")]
    memory: dict[str, list[dict[str, Any]]] = {}
    base = changed(START, **{knob: chance.randrange(2) for knob in knobs})
    # Each knob is turned by one side at most, so that git merges the files without a conflict.
    turned = {knob: chance.choice(("ours", "theirs", "", "")) for knob in knobs}
    sides = {
        side: {knob: 2 + chance.randrange(2) for knob, who in turned.items() if who == side}
        for side in ("ours", "theirs")
    }
    for _ in range(3):
        some = {knob: value for values in sides.values() for knob, value in values.items() if chance.random() < 0.7}
        run(changed(base, **some), memory)
    locks = [run(config, memory) for config in (base, *(changed(base, **values) for values in sides.values()))]
    truth = run(changed(base, **sides["ours"], **sides["theirs"]))
    for first, second in itertools.permutations(locks[1:]):
        result = merge(locks[0], first, second, remembers(memory))
        assert set(result.lock) | set(result.dropped) == set(STAGES)
        for name, entry in result.lock.items():
            assert entry == truth[name]
            assert entry.raw in memory[key_of(entry.raw)]
        untouched = [name for name in STAGES if truth[name] in (first[name], second[name])]
        assert set(untouched) <= set(result.lock) | _below(result.dropped)


def _below(dropped: Mapping[str, str]) -> set[str]:
    """The stages after those dropped because both sides changed them."""
    lost = {name for name, reason in dropped.items() if reason == "both sides changed it"}
    for name, (_, deps) in STAGES.items():
        if any(STAGES[other][0] == dep.split("/")[0] for other in lost for dep in deps):
            lost.add(name)
    return lost
