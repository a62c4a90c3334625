"""With this folder in PYTHONPATH, `python -m tunegate.stages …` lets the fork server run the stage, if there is one.

Python imports this when it starts. The process stays, with its number, streams and exit code; it only waits.
"""

import os
import sys


def ask(place: str) -> None:
    """Have the stage run by the server at `place`, and end as it does. Returns when no server answers."""
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
    asked = {"arguments": sys.orig_argv[3:], "environment": dict(os.environ), "folder": folder}
    socket.send_fds(server, [b"."], [0, 1, 2])
    server.sendall(json.dumps(asked).encode() + b"\n")
    code = int(server.makefile().readline() or -signal.SIGKILL)
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


if sys.orig_argv[1:3] == ["-m", "tunegate.stages"] and os.environ.get("TUNEGATE_TEST_FORKSERVER"):
    ask(os.environ["TUNEGATE_TEST_FORKSERVER"])
