"""`tunegate ci`: the steps of the jobs of a pull request, each one line in a workflow and the same on a laptop."""

import os
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="The steps of a pull request's jobs, on CI and on a laptop.",
    epilog="Example: tunegate ci verify && tunegate ci gate && tunegate ci report",
    no_args_is_help=True,
    rich_markup_mode=None,
)

OUT = Path("build/gate")
ROWS = 200
"""If 5 % of the answers were made up, a sample of 16 rows would miss that almost every second time."""

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

    If a run is still missing, says `run=missing` to the workflow, whose job `train` makes it.
    """
    from tunegate.review import ci_steps

    checkout = ci_steps.open_checkout(forge, base, head)
    waiting = ci_steps.verify(checkout, rescore=rescore, say=print)
    _output("run", "missing" if waiting else "present")
    if waiting:
        ci_steps.refuse_untrained_fork(checkout.change, waiting)
        print(f"dvc.lock: no run yet of {', '.join(waiting)}: `tunegate ci train` makes it, or", end=" ")
        print("`dvc repro && dvc push --run-cache` and a commit")


@app.command()
def train(forge: ForgeName = "", base: Base = None, head: Head = None) -> None:
    """Run what is missing, push it, commit dvc.lock to the branch. Example: tunegate ci train

    Refuses a fork, whose branch is not ours, and a branch that moved: nothing is ever overwritten.
    """
    from tunegate.review import ci_steps

    _output("commit", ci_steps.train(ci_steps.open_checkout(forge, base, head), say=print))


@app.command()
def gate(forge: ForgeName = "", base: Base = None, head: Head = None, out: Out = OUT) -> None:
    """Judge what is checked out: 0 pass, 3 refused, 4 inconclusive. Example: tunegate ci gate --out build/gate"""
    from tunegate.cli.gate import as_text
    from tunegate.files import write_json
    from tunegate.review import ci_steps

    with ci_steps.checkout_evidence(ci_steps.open_checkout(forge, base, head)) as evidence:
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
    from tunegate.review import ci_steps

    with ci_steps.checkout_evidence(ci_steps.open_checkout(forge, base, head)) as evidence:
        contents = pull_request_of(evidence, proofs_shown(prove(evidence.candidate, quick=True)))
        for path in write_report(contents, out):
            print(path)
    _append("GITHUB_STEP_SUMMARY", render_markdown(contents))


@app.command()
def publish(forge: ForgeName = "", base: Base = None, head: Head = None, rescore: Rows = ROWS) -> None:
    """Judge a change from its commits alone; set status and comment. Example: tunegate ci publish

    Run by the default branch's code: nothing of the change is executed, and nothing that its jobs wrote is read.
    """
    from tunegate.review import ci_steps
    from tunegate.review.forges.detect import open_forge

    ci_steps.publish(open_forge(forge, base=base, head=head), rescore=rescore, say=print)


@app.command()
def approve(commit: Annotated[str, typer.Argument(help="The commit that you looked at.")] = "HEAD") -> None:
    """Without a forge: note that you approve a commit, for others' branches. Example: tunegate ci approve a1b2c3d"""
    from tunegate.repository.revisions import open_repository
    from tunegate.review.forges.local import Local

    sha = open_repository().resolve(commit)
    print(f"{sha[:12]}: approved by {Local().approve(sha)}")


def _output(name: str, value: str) -> None:
    """Tell the workflow's other jobs something."""
    _append("GITHUB_OUTPUT", f"{name}={value}\n")
    print(f"{name}={value}")


def _append(variable: str, text: str) -> None:
    path = os.environ.get(variable, "")
    if path:
        with Path(path).open("a", encoding="utf-8") as stream:
            stream.write(text)
