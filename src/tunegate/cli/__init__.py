"""The `tunegate` command: verbs for people, one module per noun, thin. `tunegate --help` imports nothing heavy."""

import signal
import sys
from typing import Annotated

import typer
from typer.exceptions import TyperException

from tunegate import __version__
from tunegate.cli import (
    check,
    ci,
    curve,
    data,
    gate,
    image,
    init,
    keys,
    launch,
    lock,
    noise,
    params,
    plan,
    preflight,
    report,
    runs,
    search,
    setup_git,
    summary,
    verify,
)
from tunegate.errors import Stopped, UsageError, exit_code_of

app = typer.Typer(
    name="tunegate",
    help="Fine-tune language models by pull request. git decides what the model is.",
    epilog="Example: tunegate init my-model && cd my-model && dvc repro",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.command("init")(init.init)
app.command("check")(check.check)
app.add_typer(ci.app, name="ci")
app.command("curve", epilog=curve.EPILOG)(curve.curve)
app.add_typer(data.app, name="data")
app.command("gate")(gate.gate)
app.add_typer(image.app, name="image")
app.command("keys")(keys.keys)
app.command("launch", epilog=launch.EPILOG)(launch.launch)
app.add_typer(lock.app, name="lock")
app.command("noise")(noise.noise)
app.add_typer(params.app, name="params")
app.command("plan")(plan.plan)
app.command("preflight")(preflight.preflight)
app.command("report")(report.report)
app.add_typer(runs.app, name="runs")
app.command("search", epilog=search.EPILOG)(search.search)
app.command("setup-git")(setup_git.setup_git)
app.command("summary")(summary.summary)
app.command("verify")(verify.verify)


def _version(wanted: bool) -> None:
    if wanted:
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
        said = getattr(error, "format_message", error.__str__)()
        if said.startswith("Usage:"):
            print(said)
            sys.exit(UsageError.exit_code)
        context = getattr(error, "ctx", None)
        raise UsageError(said, remedy=f"{context.command_path if context else 'tunegate'} --help") from None
    if code:
        sys.exit(code)
