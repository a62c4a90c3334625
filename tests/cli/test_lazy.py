import pytest
from typer.main import get_group
from typer.testing import CliRunner

from tunegate.cli import app, data
from tunegate.cli.lazy import load
from tunegate.errors import UsageError

COMMANDS = [("tunegate.cli", name) for name in get_group(app).commands]
COMMANDS += [("tunegate.cli.data", name) for name in get_group(data.app).commands]


@pytest.mark.parametrize(("package", "name"), COMMANDS)
def test_every_command_is_found_and_says_what_it_does(package: str, name: str) -> None:
    command = load(package, name)
    assert (command.name, bool(command.help)) == (name, True)


@pytest.mark.parametrize("group", [app, data.app])
def test_no_line_of_help_is_cut(group: object) -> None:
    lines = CliRunner().invoke(group, ["--help"]).stdout.split("Commands:\n")[1]
    assert "..." not in lines


@pytest.mark.parametrize(
    ("words", "completions"),
    [("tunegate pre", ["preflight"]), ("tunegate data w", ["why"]), ("tunegate runs --", ["--json", "--help"])],
)
def test_commands_and_their_options_are_completed(words: str, completions: list[str]) -> None:
    environment = {"_TUNEGATE_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    shown = CliRunner().invoke(app, env=environment, prog_name="tunegate")
    assert shown.stdout.split() == completions


def test_an_unknown_command_offers_the_nearest() -> None:
    shown = CliRunner().invoke(app, ["chekc"])
    assert shown.exit_code == UsageError.exit_code
    assert "'check'" in shown.output
