"""The loop with a DVC remote behind a real SSH server on a loopback port."""

import getpass
import importlib.util
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from firm import Firm, job_environment, propose, publish
from miniature import Miniature

SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
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
    (home / ".ssh").mkdir(parents=True)
    for name in ("host", "person"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(home / name)], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    kind, key, _ = (home / "host.pub").read_text().split(maxsplit=2)
    (home / ".ssh/known_hosts").write_text(f"[127.0.0.1]:{port} {kind} {key}\n")
    (home / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {home}/host\nAuthorizedKeysFile {home}/person.pub\n"
        "StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\nPidFile none\n"
        "Subsystem sftp internal-sftp\n"
    )
    if os.geteuid() == 0:
        # Where sshd, as root, locks up what is not logged in yet; its package leaves making it to the init system.
        Path("/run/sshd").mkdir(exist_ok=True)
    monkeypatch.setenv("HOME", str(home))
    process = subprocess.Popen([str(SSHD), "-D", "-e", "-f", str(home / "sshd_config")], stderr=subprocess.PIPE)
    try:
        _wait_for(port, process)
        yield f"url = ssh://{getpass.getuser()}@127.0.0.1:{port}{tmp_path}/remote\n    keyfile = {home}/person"
    finally:
        process.terminate()
        process.wait()


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert process.poll() is None, process.communicate()[1].decode()
        time.sleep(0.05)
    raise AssertionError("sshd does not listen")


def test_runs_and_outputs_travel_over_ssh(
    miniature: Miniature, server: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    environment = job_environment(tmp_path_factory.mktemp("home")) | {"HOME": str(tmp_path / "home")}
    firm = Firm(tmp_path, miniature, environment, server)
    firm.branch("faster", 0.9, seed=3)
    done = propose(firm, "faster")
    log = "".join(result.log for result in done.values())
    assert {name: result.result for name, result in done.items()} == dict.fromkeys(done, "success"), log
    assert (tmp_path / "remote/runs").is_dir()
    firm.ada.git("fetch", "-q")
    firm.ada.git("merge", "-q", "--ff-only", "origin/faster")
    assert publish(firm, "faster")["publish"].result == "success"
    firm.push_to_main()
