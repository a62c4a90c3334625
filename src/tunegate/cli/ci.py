"""`tunegate ci`: the steps of the jobs of a pull request, each one line in a workflow and the same on a laptop.

`verify`, `train`, `gate` and `report` work on what is checked out. `publish` reads a change's commits without checking
them out, and alone needs write access to status and comment; docs/ci.md says how the jobs fit together.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunegate.errors import RefusedError, TunegateError

if TYPE_CHECKING:
    from tunegate.reporting.evidence import Evidence
    from tunegate.repository.revisions import Repository
    from tunegate.review.forges.interface import Change, Forge
    from tunegate.review.publication import Publication

app = typer.Typer(
    help="The steps of a pull request's jobs, on CI and on a laptop.",
    epilog="Example: tunegate ci verify && tunegate ci gate && tunegate ci report",
    no_args_is_help=True,
    rich_markup_mode=None,
)

OUT = Path("build/gate")
ROWS = 200
"""Of a claim in which 5 % of the rows are made up, 16 rows would find nothing almost every second time."""
_TOKENS = ("GITHUB_TOKEN", "GITLAB_TOKEN", "CI_JOB_TOKEN")
_OF_FORKS = "a maintainer pushes the commits to a branch of this repository (docs/ci.md, Forks)"

ForgeName = Annotated[
    str, typer.Option("--forge", envvar="TUNEGATE_FORGE", help="github, gitlab or local; default: whose CI this is.")
]
Base = Annotated[str | None, typer.Option("--base", envvar="TUNEGATE_BASE", help="Local only: the target branch.")]
Head = Annotated[str | None, typer.Option("--head", envvar="TUNEGATE_HEAD", help="Local only: the proposed branch.")]
Rows = Annotated[
    int, typer.Option("--rescore", envvar="TUNEGATE_RESCORE", min=0, help="Test rows to score again on this machine.")
]
Out = Annotated[Path, typer.Option("--out", help="The folder to write into.")]


@app.callback()
def _noun() -> None:
    """The steps of a pull request's jobs, on CI and on a laptop."""


@app.command()
def verify(forge: ForgeName = "", base: Base = None, head: Head = None, rescore: Rows = ROWS) -> None:
    """Check that dvc.lock is proven, here and merged with the base. Example: tunegate ci verify --rescore 200

    Where it is not there yet, says `run=missing` to the workflow, whose job `train` makes it.
    """
    from tunegate.cli.verify import proofs_as_text
    from tunegate.evaluation.rescoring import check_sample
    from tunegate.repository.outputs import open_outputs
    from tunegate.repository.proof import AGAIN, prove
    from tunegate.repository.snapshot import Snapshot
    from tunegate.review.publication import refuse_unproven, waiting_of

    _, repository, change = _open(forge, base, head)
    with open_outputs(repository.root) as outputs:
        here = Snapshot(repository, repository.resolve("HEAD"), outputs)
        waiting = waiting_of(prove(here, quick=True))
        if waiting:
            _say_missing(change, waiting)
            return
        proofs = prove(here)
        print(proofs_as_text(proofs))
        refuse_unproven(proofs)
        _refuse_to_run(repository, here.name, [proof.stage for proof in proofs if proof.how == AGAIN])
        if not repository.is_ancestor(change.base, here.name):
            merged = Snapshot(repository, repository.merge_commit(change.base, here.name), outputs)
            refuse_unproven(prove(merged))
            print(f"merged with {change.base_ref}: proven as well")
        if rescore:
            print(check_sample(here, rows=rescore))
    _tell("run", "present")


@app.command()
def train(forge: ForgeName = "", base: Base = None, head: Head = None) -> None:
    """Run what is missing, push it, commit dvc.lock to the branch. Example: tunegate ci train

    Refuses a fork, whose branch is another's, and a branch that moved: nothing is ever overwritten.
    """
    from tunegate.repository import branches
    from tunegate.repository.lock import FILE, parse_lock
    from tunegate.repository.scratch import run_stages
    from tunegate.repository.tracked_files import bring_added
    from tunegate.repository.transfer import SETTINGS, fetch_runs, push_runs

    opened, repository, change = _open(forge, base, head)
    _refuse_to_train(change, repository)
    fetch_runs(repository.root)
    # The change's own code runs here, and MLflow is to record it. What is blank is out of its way, not out of its
    # reach: it runs as this process's user, and DVC's credentials are in .dvc/config.local.
    settings = dict.fromkeys((*_TOKENS, SETTINGS), "") | _present("MLFLOW_TRACKING_URI")
    bring_added(repository.root)
    run_stages(repository.root, ["--pull", "--allow-missing"], settings)
    print(f"{push_runs(repository.root)} files pushed to the DVC remote")
    lock = parse_lock((repository.root / FILE).read_text(encoding="utf-8"), place=FILE)
    message = "dvc.lock and reports of this branch's run\n\nMade by `tunegate ci train`."
    made = branches.commit(repository, branches.results_of(repository, lock), message)
    if made:
        branches.push(repository, made, change.head_ref, environment=opened.git_environment())
        print(f"{made[:12]} pushed to {change.head_ref}")
    _tell("commit", made or change.head)


@app.command()
def gate(forge: ForgeName = "", base: Base = None, head: Head = None, out: Out = OUT) -> None:
    """Judge what is checked out: 0 pass, 3 refused, 4 inconclusive. Example: tunegate ci gate --out build/gate"""
    from tunegate.cli.gate import as_text
    from tunegate.files import write_json

    with _judged(forge, base, head) as evidence:
        verdict = evidence.verdict
    write_json(out / "verdict.json", verdict.model_dump(mode="json"))
    print(as_text(verdict))
    raise typer.Exit(verdict.exit_code)


@app.command()
def report(forge: ForgeName = "", base: Base = None, head: Head = None, out: Out = OUT) -> None:
    """Write the report, and the job's summary. Example: tunegate ci report --out build/gate"""
    from tunegate.reporting.pull_request import proofs_shown, pull_request_of
    from tunegate.reporting.pull_request_page import render_markdown, write_report
    from tunegate.repository.proof import prove

    with _judged(forge, base, head) as evidence:
        made = pull_request_of(evidence, proofs_shown(prove(evidence.candidate, quick=True)))
        for path in write_report(made, out):
            print(path)
    _append("GITHUB_STEP_SUMMARY", render_markdown(made))


@app.command()
def publish(forge: ForgeName = "", base: Base = None, head: Head = None, rescore: Rows = ROWS) -> None:
    """Judge a change from its commits alone; set status and comment. Example: tunegate ci publish

    Run by the default branch's code: nothing of the change is executed, and nothing that its jobs wrote is read.
    """
    from tunegate.review.forges.detect import open_forge
    from tunegate.review.forges.interface import MARKER, NoChangeError

    opened = open_forge(forge, base=base, head=head)
    try:
        change = opened.change()
    except NoChangeError as error:
        print(f"nothing to publish: {error.place}: {error.problem}")
        return
    if change.base_ref != change.default_ref:
        # The status is the commit's, whatever it is proposed to: another branch's policy must not earn it.
        print(f"nothing to publish: it goes to {change.base_ref}, and only changes to {change.default_ref} are judged")
        return
    made = _publication(opened, change, rescore)
    opened.status(change, made.state, made.description, opened.job_url())
    address = opened.comment(change, MARKER, made.markdown, create=made.touches_model or made.state != "success")
    print(f"{change.head[:12]}: {made.state}: {made.description}")
    print(f"comment: {address or 'none: the model is the same'}")


@app.command()
def approve(commit: Annotated[str, typer.Argument(help="The commit that you looked at.")] = "HEAD") -> None:
    """Without a forge: note that you approve a commit, for others' branches. Example: tunegate ci approve a1b2c3d"""
    from tunegate.repository.revisions import open_repository
    from tunegate.review.forges.local import Local

    sha = open_repository().resolve(commit)
    print(f"{sha[:12]}: approved by {Local().approve(sha)}")


def _publication(forge: "Forge", change: "Change", rescore: int) -> "Publication":
    """What to say of the change; whatever goes wrong before that is a status too: the merge waits for one."""
    from tunegate.repository import branches
    from tunegate.review.publication import publication_of

    try:
        repository = _prepared(forge, change)
        branches.fetch(repository, change.head, ref=change.fetch, environment=forge.git_environment())
        approvals = forge.approvals(change)
    except Exception as error:
        words = error.problem if isinstance(error, TunegateError) else f"unexpected {type(error).__name__}"
        forge.status(change, "error", f"nothing was judged: {words}", forge.job_url())
        raise
    return publication_of(change, approvals, rescore=rescore)


def _open(name: str, base: str | None, head: str | None) -> "tuple[Forge, Repository, Change]":
    """The forge, the clone and the change, with its base fetched and the DVC remote's settings in place."""
    from tunegate.review.forges.detect import open_forge

    forge = open_forge(name, base=base, head=head)
    change = forge.change()
    return forge, _prepared(forge, change), change


def _prepared(forge: "Forge", change: "Change") -> "Repository":
    """The clone, with the DVC remote's settings in place and the change's base fetched."""
    from tunegate.repository import branches
    from tunegate.repository.revisions import open_repository
    from tunegate.repository.transfer import write_settings

    repository = open_repository()
    write_settings(repository.root)
    ref = f"refs/heads/{change.base_ref}" if change.number else ""
    branches.fetch(repository, change.base, ref=ref, environment=forge.git_environment())
    return repository


@contextmanager
def _judged(name: str, base: str | None, head: str | None) -> "Iterator[Evidence]":
    from tunegate.review.evidence import open_evidence

    forge, repository, change = _open(name, base, head)
    here = repository.resolve("HEAD")
    approvals = forge.approvals(change) if here == change.head else []
    with open_evidence(base=change.base, head=here, approvals=approvals) as evidence:
        yield evidence


def _refuse_to_train(change: "Change", repository: "Repository") -> None:
    if change.is_fork:
        problem = "a fork's branch is not ours to train or to write"
        raise RefusedError(problem, place=change.head_repository, remedy=_OF_FORKS)
    here = repository.resolve("HEAD")
    if here != change.head:
        problem = f"the branch is at {change.head[:12]}, checked out is {here[:12]}"
        raise RefusedError(problem, place=change.head_ref, remedy="the job for the branch's new commit trains it")
    if not change.head_ref:
        raise RefusedError("no branch is checked out to commit to", place=here[:12], remedy="name it with --head")


def _refuse_to_run(repository: "Repository", commit: str, cheap: list[str]) -> None:
    """Raise RefusedError when DVC would run a stage that the proof knows nothing of; `cheap` ones ran again in it."""
    from tunegate.repository.scratch import scratch, stages_to_run

    with scratch(repository, commit) as folder:
        names = [name for name in stages_to_run(folder) if name not in cheap]
    if names:
        problem = f"`dvc repro` would still run or restore {', '.join(names)}"
        remedy = "run `dvc repro`, and commit every dvc.lock and .dvc file"
        raise RefusedError(problem, place=commit[:12], remedy=remedy)
    print("`dvc repro --pull --allow-missing` would run nothing that was not just run again")


def _say_missing(change: "Change", waiting: list[str]) -> None:
    _tell("run", "missing")
    problem = f"no run yet of {', '.join(waiting)}"
    if change.is_fork:
        raise RefusedError(problem, place="dvc.lock", remedy=_OF_FORKS)
    print(f"dvc.lock: {problem}: `tunegate ci train`, or `dvc repro && dvc push --run-cache` and a commit, makes it")


def _tell(name: str, value: str) -> None:
    """Say something to the workflow's other jobs."""
    _append("GITHUB_OUTPUT", f"{name}={value}\n")
    print(f"{name}={value}")


def _append(variable: str, text: str) -> None:
    path = os.environ.get(variable, "")
    if path:
        with Path(path).open("a", encoding="utf-8") as stream:
            stream.write(text)


def _present(*names: str) -> dict[str, str]:
    return {name: os.environ[name] for name in names if os.environ.get(name)}
