"""A host without a forge: a bare repository that protects main, ada's laptop, a runner for CI, a DVC remote."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import workflow_runner
from miniature import Miniature, answers, predictions

ROOT = Path(__file__).resolve().parents[1]
TUNE = workflow_runner.load(ROOT / ".github/workflows/tune.yml")
COMMENT = workflow_runner.load(ROOT / ".github/workflows/comment.yml")
_OF_A_JOB = ("GITHUB_", "GITLAB_", "CI", "GIT_", "TUNEGATE_", "MLFLOW_", "PYTEST_")

# Where commands are served (tests/forkserver), and for which test.
_SERVED = ("TUNEGATE_TEST_FORKSERVER", "PYTEST_CURRENT_TEST")


def job_environment(home: Path) -> dict[str, str]:
    """A job's environment on a fresh machine, in which `make env-pipeline` finds everything installed."""
    venv = home / "venv"
    venv.mkdir()
    (venv / "bin").symlink_to(Path(sys.executable).parent)
    kept = {name: value for name, value in os.environ.items() if name in _SERVED or not name.startswith(_OF_A_JOB)}
    system = ":".join(p for p in kept["PATH"].split(":") if p != str(Path(sys.executable).parent))
    return kept | {
        "HOME": str(home),
        "PATH": system,
        "PYTHON": sys.executable,
        "TUNEGATE_VENV": str(venv),
        "DVC_NO_ANALYTICS": "1",
        "GITHUB_ACTIONS": "true",
        "GITHUB_REPOSITORY": "firm/desk",
        "GITHUB_SERVER_URL": "http://127.0.0.1",
        "GITHUB_RUN_ID": "42",
    }


class GitHost:
    """A bare repository that protects main, ada's laptop, and a runner for CI."""

    def __init__(self, folder: Path, ada: Miniature, environment: dict[str, str], remote: str) -> None:
        """`remote` is what stands under the DVC remote's name in its settings, `url = …` first."""
        self.folder = folder
        self.ada = ada
        self.origin = folder / "origin.git"
        self.environment = environment
        self.settings = f"[core]\n    remote = store\n['remote \"store\"']\n    {remote}\n"
        ada.run("git", "init", "-q", "--bare", "-b", "main", str(self.origin), cwd=folder)
        # As forges do, for the commits of pull requests.
        ada.run("git", "config", "uploadpack.allowAnySHA1InWant", "true", cwd=self.origin)
        ada.git("remote", "add", "origin", str(self.origin))
        (ada.root / ".dvc/config.local").write_text(self.settings)
        ada.run("dvc", "push", "-q", "--run-cache", cwd=ada.root)
        ada.git("push", "-q", "origin", "main")
        ada.git("remote", "set-head", "origin", "main")
        ada.run("git", "config", "tunegate.verdicts", "ci", cwd=self.origin)
        shutil.copy(ROOT / "docs/examples/pre-receive", self.origin / "hooks/pre-receive")
        self._know_environment()

    def _know_environment(self) -> None:
        """Have requirements/environment.py find its record: nothing is to be installed."""
        code = (
            "import environment as e, json;"
            "e.RECORD.write_text(json.dumps({'lock': e.fingerprint(), 'groups': ['pipeline']}))"
        )
        settings = self.environment | {"PYTHONPATH": "requirements"}
        subprocess.run([sys.executable, "-c", code], cwd=self.ada.root, env=settings, check=True)

    def runner(self, **more: str) -> workflow_runner.Runner:
        folder = self.folder / "runner"
        folder.mkdir(exist_ok=True)
        secrets = {"TUNEGATE_DVC_CONFIG": self.settings}
        return workflow_runner.Runner(
            folder,
            self.origin,
            self.environment | {"REMOTE_USER": "ci"} | more,
            secrets=secrets,
            # The base model of these tests is no network: there is nothing to score again with.
            variables={"TUNEGATE_RESCORE": "0"},
        )

    def branch(self, name: str, share: float, seed: int) -> str:
        """ada proposes parameters whose model answers `share` of the rows; she does not run anything."""
        self.ada.git("fetch", "-q")
        self.ada.git("checkout", "-q", "-b", name, "origin/main")
        self.ada.predict(predictions(answers(200, share, seed=seed)))
        self.ada.change(train__learning_rate=0.1 * seed)
        commit = self.ada.commit(f"Try {name}", repro=False)
        self.ada.git("push", "-q", "origin", name)
        return commit

    def pull_request(self, name: str, head: str, repository: str = "firm/desk") -> dict[str, Any]:
        owner = repository.partition("/")[0]
        return {
            "number": 7,
            "state": "open",
            "user": {"login": "ada"},
            "base": {
                "ref": "main",
                "sha": self.ada.git("rev-parse", "origin/main"),
                "repo": {"default_branch": "main"},
            },
            "head": {"ref": name, "sha": head, "repo": {"full_name": repository, "owner": {"login": owner}}},
        }

    def finished(self, pull: dict[str, Any]) -> dict[str, Any]:
        head = pull["head"]
        run = {"name": "tune", "event": "pull_request", "conclusion": "success", "head_branch": head["ref"]}
        return {
            "workflow_run": run | {"head_repository": head["repo"]},
            "repository": {"default_branch": "main"},
        }

    def push_to_main(self, *, code: int = 0) -> str:
        return self.ada.run("git", "push", "origin", "HEAD:main", cwd=self.ada.root, code=code)


def propose(host: GitHost, name: str) -> dict[str, workflow_runner.Result]:
    """What the workflow `tune` does with ada's branch, with git alone as the forge."""
    head = host.ada.git("rev-parse", name)
    here = {"TUNEGATE_FORGE": "local", "TUNEGATE_HEAD": f"origin/{name}"}
    return host.runner(**here).run(TUNE, "pull_request", {"pull_request": host.pull_request(name, head)})


def publish(host: GitHost, name: str) -> dict[str, workflow_runner.Result]:
    head = host.ada.git("rev-parse", f"origin/{name}")
    here = {"TUNEGATE_FORGE": "local", "TUNEGATE_HEAD": f"origin/{name}"}
    return host.runner(**here).run(COMMENT, "workflow_run", host.finished(host.pull_request(name, head)))
