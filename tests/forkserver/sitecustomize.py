"""With this folder in PYTHONPATH, `tunegate`, `dvc` and `python -m` of them let the fork server run the command.

Python imports this when it starts. The process stays, with its number, streams and exit code; it only waits.
"""

import os
import sys

MODULES = ("tunegate.stages", "tunegate.cli", "dvc")
SCRIPTS = ("tunegate", "dvc")


def is_served(arguments: list[str]) -> bool:
    """Whether the fork server runs Python with these arguments."""
    if arguments[:1] == ["-m"]:
        return arguments[1] in MODULES
    return bool(arguments) and arguments[0].rpartition("/")[2] in SCRIPTS


def delegate(place: str) -> None:
    """Have the command run by the server at `place`, and end as it does. Returns when no server answers."""
    import json
    import signal
    import socket

    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        server.connect(place)
    except OSError:
        return
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: server.send(bytes([number])))
    folder = os.getcwd()  # noqa: PTH109 - pathlib takes longer to import than all of this
    request = {"arguments": sys.orig_argv[1:], "environment": dict(os.environ), "folder": folder}
    socket.send_fds(server, [b"."], [0, 1, 2])
    server.sendall(json.dumps(request).encode() + b"\n")
    code = int(server.makefile().readline() or -signal.SIGKILL)
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


if os.environ.get("TUNEGATE_TEST_FORKSERVER") and is_served(sys.orig_argv[1:]):
    delegate(os.environ["TUNEGATE_TEST_FORKSERVER"])
