"""The evidence of a verdict: two revisions, their locked predictions, and what the change edits of the rules.

Reads git and DVC's cache or remote, never the working tree's outputs. The policy is the base revision's: a change
cannot relax what it is judged by. The baseline is the model locked at the merge base. Whatever cannot be read is an
error, so that nothing passes for lack of evidence.
"""

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tunegate.data.diff.compare import compare_snapshots
from tunegate.errors import InputError
from tunegate.evaluation.examples import sha256_of_test_set
from tunegate.evaluation.rescoring import ADAPTER, PREDICTIONS, PREPARED, rescored, rows_of_test, settings_of
from tunegate.experiments.noise import find_noise
from tunegate.files import parse_yaml, text_at
from tunegate.gate.data_guards import decide_data
from tunegate.gate.decision import decide_metrics, decide_slices
from tunegate.gate.guards import decide_guards
from tunegate.gate.judgement import Findings, judge
from tunegate.gate.policy import FILE, Policy
from tunegate.gate.scores import Paired, paired_of
from tunegate.gate.verdict import Revisions, TestSet
from tunegate.params import parse
from tunegate.reporting.evidence import Evidence
from tunegate.repository.lock import Entry
from tunegate.repository.outputs import open_outputs
from tunegate.repository.revisions import open_repository
from tunegate.repository.snapshot import Snapshot
from tunegate.review.measurements import METRICS, PACKAGE, contaminated, measurements, uses_of_test_set
from tunegate.tables import read_parquet


@contextlib.contextmanager
def open_evidence(
    root: Path = Path(), *, base: str | None = None, head: str | None = None, approvals: Sequence[str] = ()
) -> Iterator[Evidence]:
    """Judge the project in `root` at `head`, or as its working tree has it, against `base`.

    `base` is the branch that the change goes to, by default the remote's default branch. Raises InputError for
    evidence that is missing or damaged, MachineError for a remote that does not answer.
    """
    repository = open_repository(root)
    target = repository.resolve(base or repository.default_base())
    commit = repository.resolve(head) if head else None
    fork = repository.merge_base(target, commit or "HEAD")
    with open_outputs(repository.root) as outputs:
        candidate = Snapshot(repository, commit, outputs)
        merge_base = Snapshot(repository, fork, outputs)
        revisions = Revisions(base=target, merge_base=fork, head=candidate.name)
        yield _evidence(candidate, merge_base, Snapshot(repository, target, outputs), revisions, approvals)


def _evidence(
    candidate: Snapshot, merge_base: Snapshot, target: Snapshot, revisions: Revisions, approvals: Sequence[str]
) -> Evidence:
    policy, text = governing_policy(target, candidate)
    table = _predictions(candidate)
    baseline = _baseline(merge_base, target)
    before = _predictions(baseline) if baseline else None
    changed = before is not None and sha256_of_test_set(before) != sha256_of_test_set(table)
    score_again = baseline is not None and (changed or bool(_scoring_differences(candidate, baseline)))
    if baseline and score_again:
        before = rescored(baseline, rows_of_test(candidate), settings_of(candidate))
    unchanged = baseline is not None and not score_again and _is_same_model(candidate, baseline)
    paired = paired_of(table, before, cluster=policy.cluster, ignore_case=settings_of(candidate).ignore_case)
    test_set = _test_set(candidate, table, paired, target, policy, changed=changed)
    noise = find_noise([s for s in (candidate, baseline) if s], test_set.sha256)
    exact, near = _leaks(candidate, candidate, policy)
    baseline_leaks = _leaks(candidate, baseline, policy) if baseline else ()
    data = compare_snapshots(baseline, candidate, near=policy.contamination.near)
    guards = decide_guards(policy.guards, measurements(policy.guards, candidate, baseline, table))
    findings = Findings(
        revisions=revisions,
        policy=policy,
        policy_sha256=hashlib.sha256(text.encode()).hexdigest(),
        protected=list(_protected_changes(candidate, merge_base, target, changed=changed)),
        ungoverned=target.text(FILE) is None,
        shallow=candidate.repository.shallow,
        unchanged=unchanged,
        rescored=score_again,
        test_set=test_set,
        metrics=decide_metrics(paired, policy, unchanged=unchanged, seeds=noise.deviations() if noise else None),
        slices=[] if unchanged else decide_slices(paired, policy),
        guards=[*guards, *decide_data(policy.data, data)],
        exact=exact,
        near=near,
        known_to_baseline=[match for matches in baseline_leaks for match in matches],
        seeds=len(noise.seeds) if noise else 1,
        approvals=approvals,
    )
    return Evidence(judge(findings), policy, candidate, baseline, table, before, data)


def governing_policy(target: Snapshot, candidate: Snapshot) -> tuple[Policy, str]:
    """The base revision's policy, or, where it has none yet, the candidate's own; with its text."""
    policy = policy_of(target, candidate)
    if policy is None:
        remedy = "write one (docs/gate.md), or copy that of `tunegate init`"
        raise InputError("no policy, neither at the base nor here", place=FILE, remedy=remedy)
    return policy


def policy_of(target: Snapshot, candidate: Snapshot) -> tuple[Policy, str] | None:
    """The policy that governs, as `governing_policy` says it, or None where there is none. Raises InputError."""
    for snapshot in (target, candidate):
        text = snapshot.text(FILE)
        if text is not None:
            place = snapshot.place(FILE)
            remedy = "docs/gate.md explains every key"
            return parse(Policy, parse_yaml(text, place=place), place=place, remedy=remedy), text
    return None


def _baseline(merge_base: Snapshot, target: Snapshot) -> Snapshot | None:
    """The merge base, or None where no model was ever locked. Raises InputError for a lock without predictions."""
    if merge_base.locked(PREDICTIONS):
        return merge_base
    if merge_base.lock:
        remedy = "run `dvc repro` on the base branch and commit dvc.lock there"
        raise InputError(f"it locks no {PREDICTIONS}", place=merge_base.place("dvc.lock"), remedy=remedy)
    if target.lock:
        problem = "the base has a model, but the merge base has none to compare with"
        raise InputError(problem, place=merge_base.place("dvc.lock"), remedy="merge the base branch into this one")
    return None


def _predictions(snapshot: Snapshot) -> Any:
    if not snapshot.lock:
        raise InputError("nothing was run", place=snapshot.place("dvc.lock"), remedy="`dvc repro`, then commit")
    return read_parquet(snapshot.output(PREDICTIONS))


def _is_same_model(candidate: Snapshot, baseline: Snapshot) -> bool:
    """Whether both lock the same rows, weights (with the lineage key beside them), package and predictions.

    A package that was exported otherwise is another model to those who call it.
    """
    decisive = ("models/base", PREPARED, ADAPTER, PACKAGE, PREDICTIONS)
    return all(candidate.locked(path) == baseline.locked(path) for path in decisive)


def _scoring_differences(candidate: Snapshot, baseline: Snapshot) -> list[str]:
    """What differs in how the two were scored: the command, parameters and code of the stage `evaluate`."""
    new, old = (_scoring_inputs(snapshot) for snapshot in (candidate, baseline))
    return sorted(name for name in new.keys() | old.keys() if new.get(name) != old.get(name))


def _scoring_inputs(snapshot: Snapshot) -> dict[str, Any]:
    entry = next(entry for entry in snapshot.lock.values() if PREDICTIONS in entry.outs)
    outputs = {path for other in snapshot.lock.values() for path in other.outs}
    # Models and rows are what is compared; all other dependencies are how.
    return {"the command of evaluate": entry.cmd, **entry.params} | {
        path: dep.md5 for path, dep in entry.deps.items() if path not in outputs
    }


def _protected_changes(candidate: Snapshot, merge_base: Snapshot, target: Snapshot, *, changed: bool) -> Iterator[str]:
    """Sentences on what the change edits of the rules that it is judged by."""
    before, now = merge_base.text(FILE), candidate.text(FILE)
    if now is None and before is not None:
        yield f"{FILE} is deleted by this change"
    elif now != before and target.text(FILE) not in (now, None):
        yield f"{FILE} is edited by this change; the base's is used"
    if not merge_base.lock:
        return
    if stages := _pipeline_differences(candidate, merge_base):
        yield f"the pipeline itself is changed, in {', '.join(stages)}: other commands, inputs or outputs"
    if changed:
        yield "the test set is not the baseline's; the baseline was scored again on this one"
    if names := _scoring_differences(candidate, merge_base):
        yield f"how models are scored is changed ({', '.join(names)}); the baseline was scored again the same way"


def _pipeline_differences(candidate: Snapshot, baseline: Snapshot) -> list[str]:
    """Stages whose command, inputs or outputs differ; `evaluate` is left to `_scoring_differences`."""

    def shape(entry: Entry) -> tuple[str, list[str], list[str]]:
        return entry.cmd, sorted(entry.deps), sorted(entry.outs)

    new, old = (
        {name: shape(entry) for name, entry in snapshot.lock.items() if PREDICTIONS not in entry.outs}
        for snapshot in (candidate, baseline)
    )
    return sorted(name for name in new.keys() | old.keys() if new.get(name) != old.get(name))


def _leaks(candidate: Snapshot, trained: Snapshot, policy: Policy) -> tuple[list[Any], list[Any]]:
    return contaminated(candidate.output(PREPARED), trained.output(PREPARED), near=policy.contamination.near)


def _test_set(
    candidate: Snapshot, table: Any, paired: Paired, target: Snapshot, policy: Policy, *, changed: bool
) -> TestSet:
    sha256 = sha256_of_test_set(table)
    revisions = [revision for revision in (target.commit, candidate.commit or "HEAD") if revision]
    lineage = text_at(candidate.json(METRICS), candidate.place(METRICS), "lineage")
    return TestSet(
        sha256=sha256,
        rows=len(paired.ids),
        clusters=int(paired.clusters.max()) + 1,
        changed=changed,
        uses=uses_of_test_set(candidate.repository, revisions, sha256, lineage),
        budget=policy.test_set_budget,
    )
