"""`python -m tunegate.stages [--memory SIZE] NAME PATH…`: run one stage; the commands of dvc.yaml.

The stage's module is imported in here, under the printer of errors, so that an interrupt during its seconds of imports
ends as quietly as one later.
"""

import importlib
import inspect
import os
import pkgutil
import sys
from types import ModuleType

import tunegate.stages
from tunegate.errors import UsageError, exit_code_of


def main() -> None:
    """Run the stage that the command line names and leave the process with a documented exit code."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--traceback"]
    show = True if "--traceback" in sys.argv else None
    sys.exit(exit_code_of(lambda: _run(arguments), show_traceback=show))


def _run(arguments: list[str]) -> None:
    if arguments and arguments[0] == "--memory":
        arguments = _with_memory(arguments[1:])
    names = sorted(module.name for module in pkgutil.iter_modules(tunegate.stages.__path__) if module.name[0] != "_")
    if not arguments or arguments[0] not in names:
        raise UsageError("name a stage: " + ", ".join(names), remedy="dvc.yaml shows the command of every stage")
    name, *paths = arguments
    module = importlib.import_module(f"tunegate.stages.{name}")
    _check(module, paths)
    module.main(*paths)


def _with_memory(arguments: list[str]) -> list[str]:
    # An option, not an argument of the stage: how much memory it takes does not change what it writes.
    from tunegate.data.compute.database import MEMORY_VARIABLE, parsed

    if not arguments:
        raise UsageError("--memory wants a size", remedy="write it as 512MB or 4GB")
    parsed(arguments[0], "--memory")
    os.environ[MEMORY_VARIABLE] = arguments[0]
    return arguments[1:]


def _check(module: ModuleType, paths: list[str]) -> None:
    signature = inspect.signature(module.main)
    try:
        signature.bind(*paths)
    except TypeError as error:
        wanted = " ".join(parameter.upper() for parameter in signature.parameters)
        raise UsageError(f"{error}; wanted: {wanted}", remedy="dvc.yaml shows the command of every stage") from None


if __name__ == "__main__":
    main()
