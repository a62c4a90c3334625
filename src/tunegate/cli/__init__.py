"""The `tunegate` command: verbs for people, one module each, thin, and imported when it is called."""

import signal
import sys
from typing import Annotated

import typer
from typer.exceptions import TyperException

from tunegate import __version__
from tunegate.cli.lazy import lazy_app
from tunegate.errors import Stopped, UsageError, exit_code_of

app = lazy_app(
    "tunegate.cli",
    {
        "init": "Start a repository for a model of your own.",
        "check": "Check the files that people write, in a second.",
        "plan": "Which stages would run, why, and at what cost.",
        "preflight": "Check rows, template and model before training.",
        "summary": "The metrics, where the results lie, what to try next.",
        "search": "Search parameters: each trial is a run of the pipeline.",
        "noise": "How much the seed alone moves the metrics.",
        "runs": "Training runs recorded on this machine.",
        "data": "Where rows come from and what became of them.",
        "params": "The keys of params.yaml.",
        "report": "Write report.html, report.md and verdict.json.",
        "gate": "Judge a change of the model.",
        "verify": "Prove that dvc.lock names runs that happened.",
        "lock": "Merge or repair dvc.lock.",
        "keys": "Write which code each stage runs, for its key.",
        "ci": "The steps of a pull request's jobs.",
        "image": "Build the container image that production runs.",
        "launch": "Print a job that trains on the nodes of a cluster.",
        "setup-git": "Install the merge driver for dvc.lock in this clone.",
    },
    name="tunegate",
    help="Fine-tune language models by pull request. git decides what the model is.",
    epilog="Example: tunegate init my-model && cd my-model && dvc repro",
)


def _version(show: bool) -> None:
    if show:
        typer.echo(f"tunegate {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
    traceback: Annotated[bool, typer.Option("--traceback", help="Show a traceback with an error.")] = False,
) -> None:
    """Options of every command."""


def main() -> None:
    """Run the command line and leave the process with a documented exit code (tunegate.errors)."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--traceback"]
    show = len(arguments) < len(sys.argv) - 1
    sys.exit(exit_code_of(lambda: _run(arguments), show_traceback=show or None))


def _run(arguments: list[str]) -> None:
    command = typer.main.get_command(app)
    try:
        code = command.main(arguments, prog_name="tunegate", standalone_mode=False)
    except typer.Abort:
        raise Stopped(signal.SIGINT) from None
    except TyperException as error:
        message = getattr(error, "format_message", error.__str__)()
        if message.startswith("Usage:"):
            print(message)
            sys.exit(UsageError.exit_code)
        context = getattr(error, "ctx", None)
        raise UsageError(message, remedy=f"{context.command_path if context else 'tunegate'} --help") from None
    if code:
        sys.exit(code)
