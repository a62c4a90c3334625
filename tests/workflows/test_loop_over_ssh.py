"""The loop with a DVC remote behind a real SSH server on a loopback port."""

import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from git_host import GitHost, job_environment, propose, publish
from miniature import Miniature
from servers import SSHD, ssh_server

MISSING = [
    *([] if SSHD and shutil.which("ssh-keygen") else ["openssh-server"]),
    *([] if importlib.util.find_spec("dvc_ssh") else ["dvc-ssh"]),
]

pytestmark = pytest.mark.skipif(
    bool(MISSING) and os.environ.get("TUNEGATE_TEST_EVERYTHING") != "1", reason=f"needs {' and '.join(MISSING)}"
)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An SSH server for this account; yields the settings of a DVC remote on it."""
    assert not MISSING, f"needs {' and '.join(MISSING)}"
    home = tmp_path / "home"
    monkeypatch.setenv("HOME", str(home))
    with ssh_server(home) as address:
        yield f"url = ssh://{address}{tmp_path}/remote\n    keyfile = {home}/person"


def test_runs_and_outputs_travel_over_ssh(
    miniature: Miniature, server: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    environment = job_environment(tmp_path_factory.mktemp("home")) | {"HOME": str(tmp_path / "home")}
    host = GitHost(tmp_path, miniature, environment, server)
    host.branch("faster", 0.9, seed=3)
    done = propose(host, "faster")
    log = "".join(result.log for result in done.values())
    assert {name: result.result for name, result in done.items()} == dict.fromkeys(done, "success"), log
    assert (tmp_path / "remote/runs").is_dir()
    host.ada.git("fetch", "-q")
    host.ada.git("merge", "-q", "--ff-only", "origin/faster")
    assert publish(host, "faster")["publish"].result == "success"
    host.push_to_main()
