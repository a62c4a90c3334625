"""Groups of commands whose modules are imported when a command is called: help and completion need none of them.

A command `setup-git` of the package `tunegate.cli` is the function `setup_git` of the module `tunegate.cli.setup_git`,
with that module's EPILOG if it has one, or, where the module has an `app`, that group of commands.
"""

import importlib
from collections.abc import Mapping
from typing import Any, ClassVar

import typer
from typer.core import TyperGroup
from typer.main import get_group

SETTINGS: dict[str, Any] = {"no_args_is_help": True, "pretty_exceptions_enable": False, "rich_markup_mode": None}
"""Of every group."""


class LazyGroup(TyperGroup):
    """A group whose `commands` have a name and one line of help; what is called is imported first."""

    package: ClassVar[str]

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The imported command instead of its one line."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command and load(self.package, str(name)), rest


def lazy_app(package: str, commands: Mapping[str, str], **settings: Any) -> typer.Typer:
    """A group of the `commands`, by name with one line of help each, which are modules of `package`."""
    app = typer.Typer(cls=type("Commands", (LazyGroup,), {"package": package}), **SETTINGS, **settings)
    for name, line in commands.items():
        app.command(name, short_help=line)(_not_imported)
    return app


def load(package: str, name: str) -> Any:
    """The command `name` of `package`, imported."""
    module = importlib.import_module(f"{package}.{name.replace('-', '_')}")
    parent = typer.Typer(**SETTINGS)
    if group := getattr(module, "app", None):
        parent.add_typer(group, name=name)
    else:
        parent.command(name, epilog=getattr(module, "EPILOG", None))(getattr(module, name.replace("-", "_")))
    return get_group(parent).commands[name]


def _not_imported() -> None:
    """Stands in the list of commands; the module is imported before it could be called."""
