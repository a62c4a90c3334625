"""`tunegate search`: try sets of parameters, each as a run of the pipeline, and propose the best on a branch.

Reads search.yaml or what the command line says; runs commits, never the working tree; writes below .tunegate alone.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunegate.cli.runs import table
from tunegate.errors import TunegateError, UsageError
from tunegate.experiments.declaration import FILE, axis_of, load_search, objective_of
from tunegate.experiments.trials import Trial
from tunegate.files import to_json, write_text
from tunegate.text import visible

if TYPE_CHECKING:
    from tunegate.experiments.search import Workers
    from tunegate.experiments.search_results import Findings
    from tunegate.experiments.trial_runner import SearchContext

EPILOG = "Example: tunegate search --param train.rank=8,16,32 --param train.learning_rate=log:1e-4:1e-2 --trials 12"


def search(  # noqa: PLR0913, PLR0917  # one argument per option
    file: Annotated[Path, typer.Option(metavar="FILE", help="The declaration; unread where --param is given.")] = FILE,
    param: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUES", help="8,16,32 or low:high[:step] or log:low:high; repeat.")
    ] = None,
    objective: Annotated[
        list[str] | None, typer.Option(metavar="METRIC:DIRECTION", help="As tuned.accuracy:maximize; repeat.")
    ] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="How many sets of parameters to try.")] = None,
    sampler: Annotated[str | None, typer.Option(help="tpe, random or grid.")] = None,
    pruner: Annotated[str | None, typer.Option(help="none, median or halving.")] = None,
    name: Annotated[str | None, typer.Option(help="Names the folder and the branch; the same again resumes.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Trials that run at once here; the table stays the same.")] = 1,
    storage: Annotated[
        str, typer.Option(metavar="URL", help="PostgreSQL that machines share; PGPASSWORD opens it.")
    ] = "",
    adopt: Annotated[bool, typer.Option("--adopt", help="Run what other machines left unfinished, too.")] = False,
    propose: Annotated[
        str | None, typer.Option(metavar="BRANCH", help="Default: search/<name>, or -<trial> behind it.")
    ] = None,
    no_propose: Annotated[bool, typer.Option("--no-propose", help="Make no branch.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the first batch's parameters and stop.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything that is known, as JSON.")] = False,
) -> None:
    """Search parameters: each trial is a run of the pipeline at HEAD; the best is proposed on a branch of its own.

    Resumes where it was stopped. The same commit and the same search give the same table. docs/search.md explains it.
    """
    from tunegate.experiments.search import Workers, preview, search_context
    from tunegate.repository.branches import check_name
    from tunegate.repository.revisions import open_repository

    if propose and no_propose:
        raise UsageError("not both", place="--propose, --no-propose", remedy="give one of them")
    overrides = {"trials": trials, "sampler": sampler, "pruner": pruner, "name": name}
    context = search_context(open_repository(), _declared(file, param, objective, overrides))
    if dry_run:
        print(_preview_text(list(preview(context)), as_json=as_json), end="")
        return
    if not no_propose:
        check_name(context.repository, propose or f"search/{context.name}")
    _search(context, Workers(workers, storage, adopt), None if no_propose else propose or "", as_json=as_json)


def _search(context: "SearchContext", workers: "Workers", branch: str | None, *, as_json: bool) -> None:
    """`branch` is where the best is proposed: empty for the usual one, None for none."""
    from tunegate.experiments.search import run_search
    from tunegate.experiments.search_results import proposal_of
    from tunegate.experiments.trial_runner import upload
    from tunegate.reporting.search_page import render_search

    _note(f"search {context.name}: trials of the commit {context.commit[:12]}")
    findings = run_search(context, workers, lambda trial: _note(_line(trial)))
    page = context.folder / "report.html"
    write_text(page, render_search(findings))
    _note(upload(context.name, context.repository.root))
    proposal, refused = None, None
    if branch is not None and findings.best and findings.trial(findings.best[0]).diff and not findings.elsewhere:
        try:
            proposal = proposal_of(context, findings.trial(findings.best[0]), branch)
        except TunegateError as error:  # the findings are printed all the same
            refused = error
    if as_json:
        proposed = {"branch": proposal[0], "diff": proposal[1]} if proposal else None
        print(to_json(findings.as_json() | {"report": str(page), "proposal": proposed}), end="")
    else:
        print(_as_text(findings, page))
        if branch is not None and not findings.elsewhere and not refused:
            print(f"\n{_proposed(findings, proposal)}")
    if refused:
        raise refused


def _declared(
    file: Path, param: list[str] | None, objective: list[str] | None, overrides: dict[str, Any]
) -> dict[str, Any]:
    if param:
        axes = [axis_of(text) for text in param]
        declared: dict[str, Any] = {"space": dict(axes)}
        if len(declared["space"]) < len(axes):
            twice = next(key for key, _ in axes if [name for name, _ in axes].count(key) > 1)
            raise UsageError(
                f"{twice} is given twice", place="--param", remedy=f"--param {twice}=8,16 names all values"
            )
    elif file.exists():
        declared = load_search(file)
    else:
        remedy = f"write {file} (docs/search.md has one), or name parameters with --param"
        raise UsageError(f"nothing to search: there is no {file}", place="tunegate search", remedy=remedy)
    if objective:
        declared["objectives"] = [objective_of(text) for text in objective]
    return declared | {key: value for key, value in overrides.items() if value is not None}


def _preview_text(batch: list[tuple[dict[str, Any], str]], *, as_json: bool) -> str:
    if as_json:
        return to_json([{"params": values, "refused": reason} for values, reason in batch])
    rows = [
        (str(i), *map(shown, values.values()), visible(reason, keep="") or "ok")
        for i, (values, reason) in enumerate(batch)
    ]
    return table([("trial", *batch[0][0], "params.yaml"), *rows]) + "\n"


def shown(value: Any) -> str:
    """A parameter's value on one line."""
    return ", ".join(map(shown, value)) if isinstance(value, list | tuple) else str(value)


def _line(trial: Trial) -> str:
    values = ", ".join(f"{name} {value:.6g}" for name, value in trial.values.items())
    params = " ".join(f"{key}={shown(value)}" for key, value in trial.params.items())
    result = values or visible(trial.reason, keep="")
    return f"trial {trial.number} {trial.state}, {trial.seconds:.0f} s: {result}  ({params})"


def _as_text(findings: "Findings", page: Path) -> str:
    metrics = [objective.metric for objective in findings.search.objectives]
    head = ("trial", "", *metrics, *sorted(findings.search.space), "time", "state")
    rows = [_row(trial, metrics, is_best=trial.number in findings.best) for trial in findings.trials]
    parts = [table([head, *rows])]
    for metric, shares in findings.importance.items():
        parts.append(f"what moved {metric}: " + ", ".join(f"{key} {share:.0%}" for key, share in shares.items()))
    if findings.elsewhere:
        parts.append(f"running on other machines: {', '.join(map(str, findings.elsewhere))}; wait, or --adopt them")
    if any(objective.on_test_rows for objective in findings.search.objectives):
        parts.append("the best was chosen on the test rows: its score on them is better than it will be on new rows")
    parts.append(f"table {findings.table[:16]}: the same commit and search give the same\npage {page}")
    return "\n\n".join(parts)


def _proposed(findings: "Findings", proposal: tuple[str, str] | None) -> str:
    if not proposal:
        why = "the commit's own parameters are the best" if findings.best else "no trial was completed"
        return f"{why}: nothing to propose"
    branch, diff = proposal
    parts = [f"proposed on the new branch {branch}:", diff.rstrip("\n"), "open a pull request with it:"]
    return "\n".join([*parts, f"  git push -u origin {branch}"])


def _row(trial: Trial, metrics: list[str], *, is_best: bool) -> tuple[str, ...]:
    values = (f"{trial.values[name]:.6g}" if name in trial.values else "-" for name in metrics)
    params = (shown(trial.params[key]) for key in sorted(trial.params))
    state = f"{trial.state}: {visible(trial.reason, keep='')}" if trial.reason else trial.state
    return (str(trial.number), "best" if is_best else "", *values, *params, f"{trial.seconds:.0f} s", state)


def _note(text: str) -> None:
    print(text, file=sys.stderr)
