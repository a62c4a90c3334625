"""The steps of the jobs of a pull request: verify, train, gather the evidence, publish.

`verify`, `train` and `checkout_evidence` work on the commit that is checked out. `publish` reads a change's commits
without checking them out, and alone needs write access to statuses and comments; docs/ci.md says how the jobs fit
together. A step prints through `say`, because a job's log shows what was proven before a later check refuses.
"""

import dataclasses
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tunegate.errors import RefusedError, TunegateError
from tunegate.reporting.evidence import Evidence
from tunegate.repository import branches
from tunegate.repository.lock import FILE, parse_lock
from tunegate.repository.outputs import open_outputs
from tunegate.repository.proof import prove
from tunegate.repository.revisions import Repository, open_repository
from tunegate.repository.snapshot import Snapshot
from tunegate.review.evidence import open_evidence
from tunegate.review.forges.detect import open_forge
from tunegate.review.forges.interface import MARKER, Change, Forge, NoChangeError
from tunegate.review.proofs import proofs_as_text, refuse_unfinished, refuse_unproven, waiting_stages
from tunegate.review.publication import FORK_REMEDY, Publication, publication_of

Say = Callable[[str], None]

_TOKENS = ("GITHUB_TOKEN", "GITLAB_TOKEN", "CI_JOB_TOKEN")


@dataclasses.dataclass(frozen=True)
class Checkout:
    """A job's clone: the forge it runs for, the repository, and the proposed change."""

    forge: Forge
    repository: Repository
    change: Change


def open_checkout(forge_name: str, base: str | None, head: str | None) -> Checkout:
    """The clone in the working directory, with the change's base fetched and the DVC remote's settings written."""
    forge = open_forge(forge_name, base=base, head=head)
    change = forge.change()
    return Checkout(forge, _prepare_clone(forge, change), change)


def verify(checkout: Checkout, *, rescore: int, say: Say) -> list[str]:
    """The stages that still have to run; if there are none, dvc.lock is proven, here and merged with the base.

    Scores `rescore` test rows again. Raises RefusedError for whatever is not proven, or does not reproduce.
    """
    from tunegate.evaluation.rescoring import check_sample

    repository, change = checkout.repository, checkout.change
    with open_outputs(repository.root) as outputs:
        here = Snapshot(repository, repository.resolve("HEAD"), outputs)
        waiting = waiting_stages(prove(here, quick=True))
        if waiting:
            return waiting
        proofs = prove(here)
        say(proofs_as_text(proofs))
        refuse_unproven(proofs)
        refuse_unfinished(repository, here.name, proofs)
        say("`dvc repro --pull --allow-missing` would run nothing that was not just run again")
        if not repository.is_ancestor(change.base, here.name):
            merged = Snapshot(repository, repository.merge_commit(change.base, here.name), outputs)
            refuse_unproven(prove(merged))
            say(f"merged with {change.base_ref}: proven as well")
        if rescore:
            say(check_sample(here, rows=rescore))
    return []


def refuse_untrained_fork(change: Change, waiting: list[str]) -> None:
    """Raise RefusedError if the change comes from a fork, whose missing runs no job here may make."""
    if change.is_fork:
        raise RefusedError(f"no run yet of {', '.join(waiting)}", place=FILE, remedy=FORK_REMEDY)


def train(checkout: Checkout, *, say: Say) -> str:
    """Run the stages that are missing, push their outputs, and commit dvc.lock to the branch; the branch's commit.

    Raises RefusedError for a fork, whose branch is not ours, and for a branch that moved: nothing is ever overwritten.
    """
    from tunegate.repository.scratch import run_stages
    from tunegate.repository.tracked_files import bring_added
    from tunegate.repository.transfer import SETTINGS, fetch_runs, push_runs

    repository, change = checkout.repository, checkout.change
    _refuse_to_train(change, repository)
    fetch_runs(repository.root)
    # The change's own code runs here, and MLflow is to record it. Blank tokens are out of its way, not out of its
    # reach: it runs as this process's user, and DVC's credentials are in .dvc/config.local.
    tracking = {name: os.environ[name] for name in ("MLFLOW_TRACKING_URI",) if os.environ.get(name)}
    bring_added(repository.root)
    run_stages(repository.root, ["--pull", "--allow-missing"], dict.fromkeys((*_TOKENS, SETTINGS), "") | tracking)
    say(f"{push_runs(repository.root)} files pushed to the DVC remote")
    lock = parse_lock((repository.root / FILE).read_text(encoding="utf-8"), place=FILE)
    message = "dvc.lock and reports of this branch's run\n\nMade by `tunegate ci train`."
    commit = branches.commit(repository, branches.results_of(repository, lock), message)
    if commit:
        branches.push(repository, commit, change.head_ref, environment=checkout.forge.git_environment())
        say(f"{commit[:12]} pushed to {change.head_ref}")
    return commit or change.head


@contextmanager
def checkout_evidence(checkout: Checkout) -> Iterator[Evidence]:
    """The verdict on the commit that is checked out, with its evidence; approvals count only for the change's head."""
    head = checkout.repository.resolve("HEAD")
    approvals = checkout.forge.approvals(checkout.change) if head == checkout.change.head else []
    with open_evidence(base=checkout.change.base, head=head, approvals=approvals) as evidence:
        yield evidence


def publish(forge: Forge, *, rescore: int, say: Say) -> None:
    """Judge a change from its commits alone, and set its status and comment.

    Run with the default branch's code: nothing of the change is executed, and nothing that its jobs wrote is read.
    """
    try:
        change = forge.change()
    except NoChangeError as error:
        say(f"nothing to publish: {error.place}: {error.problem}")
        return
    if change.base_ref != change.default_ref:
        # The status belongs to the commit, whatever branch it is proposed to: another branch's policy must not earn it.
        say(f"nothing to publish: it goes to {change.base_ref}, and only changes to {change.default_ref} are judged")
        return
    publication = _publication(forge, change, rescore)
    forge.status(change, publication.state, publication.description, forge.job_url())
    create = publication.touches_model or publication.state != "success"
    address = forge.comment(change, MARKER, publication.markdown, create=create)
    say(f"{change.head[:12]}: {publication.state}: {publication.description}")
    say(f"comment: {address or 'none: the model is the same'}")


def _publication(forge: Forge, change: Change, rescore: int) -> Publication:
    """Status and comment of the change. An error before they exist is a status too: the merge waits for one."""
    try:
        repository = _prepare_clone(forge, change)
        branches.fetch(repository, change.head, ref=change.fetch, environment=forge.git_environment())
        approvals = forge.approvals(change)
    except Exception as error:
        problem = error.problem if isinstance(error, TunegateError) else f"unexpected {type(error).__name__}"
        forge.status(change, "error", f"nothing was judged: {problem}", forge.job_url())
        raise
    return publication_of(change, approvals, rescore=rescore)


def _prepare_clone(forge: Forge, change: Change) -> Repository:
    from tunegate.repository.transfer import write_settings

    repository = open_repository()
    write_settings(repository.root)
    ref = f"refs/heads/{change.base_ref}" if change.number else ""
    branches.fetch(repository, change.base, ref=ref, environment=forge.git_environment())
    return repository


def _refuse_to_train(change: Change, repository: Repository) -> None:
    if change.is_fork:
        problem = "a fork's branch is not ours to train or to write"
        raise RefusedError(problem, place=change.head_repository, remedy=FORK_REMEDY)
    here = repository.resolve("HEAD")
    if here != change.head:
        problem = f"the branch is at {change.head[:12]}, but {here[:12]} is checked out"
        raise RefusedError(problem, place=change.head_ref, remedy="the job for the branch's new commit trains it")
    if not change.head_ref:
        raise RefusedError("no branch is checked out to commit to", place=here[:12], remedy="name it with --head")
