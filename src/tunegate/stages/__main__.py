"""`python -m tunegate.stages [--memory SIZE] [--key FILE] NAME PATH…`: run one stage; the commands of dvc.yaml.

The stage's module is imported in here, under the printer of errors, so that an interrupt during its seconds of imports
ends as quietly as one later.
"""

import importlib
import inspect
import os
import pkgutil
import signal
import sys
from pathlib import Path
from types import ModuleType

import tunegate.stages
from tunegate.errors import UsageError, exit_code_of

# torch's threads wait for each other after every operation. Beside other work, each spins while the one that it waits
# for has no processor; after so few rounds it sleeps, which costs nothing on a quiet machine (docs/training-speed.md).
# It is read when torch is loaded.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def main() -> None:
    """Run the stage that the command line names and leave the process with a documented exit code."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--traceback"]
    show = True if "--traceback" in sys.argv else None
    sys.exit(exit_code_of(lambda: _run(arguments), show_traceback=show))


def _run(arguments: list[str]) -> None:
    options: dict[str, str] = {}
    while arguments and arguments[0] in ("--memory", "--key"):
        if len(arguments) == 1:
            raise UsageError(f"{arguments[0]} wants a value", remedy="dvc.yaml shows the command of every stage")
        options[arguments[0]] = arguments[1]
        arguments = arguments[2:]
    names = sorted(module.name for module in pkgutil.iter_modules(tunegate.stages.__path__) if module.name[0] != "_")
    if not arguments or arguments[0] not in names:
        raise UsageError("name a stage: " + ", ".join(names), remedy="dvc.yaml shows the command of every stage")
    name, *paths = arguments
    if "--memory" in options:
        _limit_memory(options["--memory"])
    if "--key" in options:
        _require_key(Path(options["--key"]), name)
    module = importlib.import_module(f"tunegate.stages.{name}")
    _check(module, paths)
    module.main(*paths)


def _limit_memory(size: str) -> None:
    # An option, not an argument of the stage: how much memory it takes does not change what it writes.
    from tunegate.data.compute.database import MEMORY_VARIABLE, parsed

    parsed(size, "--memory")
    os.environ[MEMORY_VARIABLE] = size


def _require_key(path: Path, stage: str) -> None:
    # An interrupt is answered afterwards: the library that reads the imports may swallow it.
    both = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, both)
    try:
        from tunegate.repository.import_graph import require_key

        require_key(path, stage)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, both)


def _check(module: ModuleType, paths: list[str]) -> None:
    signature = inspect.signature(module.main)
    try:
        signature.bind(*paths)
    except TypeError as error:
        expected = " ".join(parameter.upper() for parameter in signature.parameters)
        raise UsageError(f"{error}; expected: {expected}", remedy="dvc.yaml shows the command of every stage") from None


if __name__ == "__main__":
    main()
