"""The whole loop without a forge: a bare repository, a laptop, CI, a DVC remote, and the workflows as they stand."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import forge_stub
import pytest
import workflow_runner as actions
from miniature import Miniature, answers, predictions

from tunegate.files import read_json
from tunegate.forges.interface import CONTEXT, MARKER

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = ROOT / ".github" / "workflows"
TUNE = actions.load(WORKFLOWS / "tune.yml")
COMMENT = actions.load(WORKFLOWS / "comment.yml")
PEOPLE = ("GITHUB_", "GITLAB_", "CI", "GIT_", "TUNEGATE_", "MLFLOW_", "PYTEST_")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A job's environment on a fresh machine, in which `make env-pipeline` finds everything installed."""
    home = tmp_path_factory.mktemp("home")
    venv = home / "venv"
    venv.mkdir()
    (venv / "bin").symlink_to(Path(sys.executable).parent)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PEOPLE)}
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


class Firm:
    """A bare repository that protects main, ada's laptop, and a runner for CI."""

    def __init__(self, folder: Path, ada: Miniature, environment: dict[str, str], remote: str) -> None:
        self.folder = folder
        self.ada = ada
        self.origin = folder / "origin.git"
        self.environment = environment
        self.settings = f"[core]\n    remote = store\n['remote \"store\"']\n    url = {remote}\n"
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

    def runner(self, **more: str) -> actions.Runner:
        folder = self.folder / "runner"
        folder.mkdir(exist_ok=True)
        secrets = {"TUNEGATE_DVC_CONFIG": self.settings}
        return actions.Runner(
            folder,
            self.origin,
            self.environment | {"REMOTE_USER": "ci"} | more,
            secrets=secrets,
            # The base model of these tests is no network: there is nothing to score again with.
            variables={"TUNEGATE_RESCORE": "0"},
        )

    def branch(self, name: str, share: float, seed: int) -> str:
        """ada proposes parameters whose model answers `share` of the rows; she does not run anything."""
        self.ada.git("checkout", "-q", "-b", name, "main")
        self.ada.predict(predictions(answers(200, share, seed=seed)))
        self.ada.change(train__learning_rate=0.1 * seed)
        commit = self.ada.commit(f"Try {name}", repro=False)
        self.ada.git("push", "-q", "origin", name)
        return commit

    def pull_request(self, name: str, head: str, repository: str = "firm/desk") -> dict[str, Any]:
        owner = repository.split("/", maxsplit=1)[0]
        return {
            "number": 7,
            "state": "open",
            "user": {"login": "ada"},
            "base": {"ref": "main", "sha": self.ada.git("rev-parse", "origin/main")},
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


@pytest.fixture
def firm(miniature: Miniature, environment: dict[str, str], tmp_path: Path) -> Firm:
    return Firm(tmp_path, miniature, environment, str(tmp_path / "remote"))


@pytest.fixture
def stub(firm: Firm) -> Iterator[forge_stub.Stub]:
    with forge_stub.serve() as made:
        made.base = firm.ada.git("rev-parse", "origin/main")
        yield made


def propose(firm: Firm, name: str) -> dict[str, actions.Result]:
    """What the workflow `tune` does with ada's branch, with git alone as the forge."""
    head = firm.ada.git("rev-parse", name)
    here = {"TUNEGATE_FORGE": "local", "TUNEGATE_HEAD": f"origin/{name}"}
    return firm.runner(**here).run(TUNE, "pull_request", {"pull_request": firm.pull_request(name, head)})


def publish(firm: Firm, name: str) -> dict[str, actions.Result]:
    head = firm.ada.git("rev-parse", f"origin/{name}")
    here = {"TUNEGATE_FORGE": "local", "TUNEGATE_HEAD": f"origin/{name}"}
    return firm.runner(**here).run(COMMENT, "workflow_run", firm.finished(firm.pull_request(name, head)))


def test_a_better_model_is_trained_judged_and_may_be_merged_and_a_worse_one_may_not(firm: Firm) -> None:
    firm.branch("faster", 0.9, seed=3)
    assert "has no passing verdict" in firm.push_to_main(code=1)

    done = propose(firm, "faster")
    log = "".join(result.log for result in done.values())
    assert {name: result.result for name, result in done.items()} == dict.fromkeys(done, "success"), log
    assert done["verify"].outputs == {"run": "missing"}
    firm.ada.git("fetch", "-q")
    assert done["train"].outputs == {"commit": firm.ada.git("rev-parse", "origin/faster")}
    changed = firm.ada.git("diff", "--name-only", "faster", "origin/faster").split()
    assert (
        {"dvc.lock", "reports/metrics.json"}
        <= set(changed)
        <= {"dvc.lock", "reports/metrics.json"}
        | {
            "reports/confusion.csv",
            "reports/timings.json",
            "reports/data.json",
        }
    )
    artifact = firm.folder / "runner/artifacts/gate"
    assert read_json(artifact / "verdict.json")["outcome"] == "pass"
    assert (artifact / "report.html").is_file()
    assert "Pass" in (firm.folder / "runner/gate-summary.md").read_text()

    firm.ada.git("merge", "-q", "--ff-only", "origin/faster")
    assert "has no passing verdict" in firm.push_to_main(code=1), "a job's word is no verdict"
    done = publish(firm, "faster")
    assert done["publish"].result == "success", done["publish"].log
    firm.push_to_main()

    again = propose(firm, "faster")
    assert again["verify"].outputs == {"run": "present"}, again["verify"].log
    assert again["train"].result == "skipped"

    firm.branch("slower", 0.2, seed=5)
    done = propose(firm, "slower")
    assert [done[name].result for name in ("verify", "train", "gate")] == ["success", "success", "failure"]
    assert read_json(artifact / "verdict.json")["outcome"] == "refused"
    firm.ada.git("fetch", "-q")
    assert publish(firm, "slower")["publish"].result == "success"
    firm.ada.git("merge", "-q", "--ff-only", "origin/slower")
    assert "has no passing verdict" in firm.push_to_main(code=1)
    note = firm.ada.run("git", "notes", "--ref=tunegate", "show", "slower", cwd=firm.origin)
    assert json.loads(note)[CONTEXT]["state"] == "failure"


def test_only_ci_writes_verdicts(firm: Firm) -> None:
    firm.branch("faster", 0.9, seed=3)
    note = json.dumps({CONTEXT: {"state": "success"}}, indent=2)
    firm.ada.git("notes", "--ref=tunegate", "add", "-m", note, "HEAD")
    said = firm.ada.run("git", "push", "origin", "refs/notes/tunegate", cwd=firm.ada.root, code=1)
    assert "may not write verdicts" in said


def test_a_fork_is_not_trained_not_executed_and_waits_for_a_maintainer(firm: Firm, stub: forge_stub.Stub) -> None:
    head = firm.branch("guests", 0.95, seed=4)
    trap = firm.folder / "executed"
    pipeline = firm.ada.root / "dvc.yaml"
    pipeline.write_text(pipeline.read_text().replace("mkdir -p reports", f"touch {trap}; mkdir -p reports"))
    head = firm.ada.commit("A trap", repro=False)
    firm.ada.git("push", "-q", "origin", "HEAD:refs/pull/7/head", ":guests")
    pull = firm.pull_request("guests", head, repository="guest/desk")
    stub.pulls.append(pull)
    runner = firm.runner(GITHUB_API_URL=stub.url)
    runner.secrets = {}  # as GitHub does for a fork
    done = runner.run(TUNE, "pull_request", {"pull_request": pull})
    assert {name: result.result for name, result in done.items()} == {
        "verify": "failure",
        "train": "skipped",
        "gate": "skipped",
    }
    assert "a maintainer pushes the commits to a branch of this repository" in done["verify"].log

    done = firm.runner(GITHUB_API_URL=stub.url).run(COMMENT, "workflow_run", firm.finished(pull))
    assert done["publish"].result == "success", done["publish"].log
    assert [(status["sha"], status["state"]) for status in stub.statuses] == [(head, "pending")]
    assert stub.statuses[0]["target_url"] == "http://127.0.0.1/firm/desk/actions/runs/42"
    assert "a maintainer has to run this" in stub.comments[0]["body"]
    assert not trap.exists()


def test_the_comment_is_updated_in_place_from_waiting_to_the_verdict(firm: Firm, stub: forge_stub.Stub) -> None:
    head = firm.branch("faster", 0.9, seed=3)
    stub.pulls.append(firm.pull_request("faster", head))
    runner = firm.runner(GITHUB_API_URL=stub.url)
    assert runner.run(COMMENT, "workflow_run", firm.finished(stub.pulls[0]))["publish"].result == "success"
    assert "the job train makes it" in stub.comments[0]["body"]
    firm.ada.run("dvc", "repro", "-q", cwd=firm.ada.root)
    firm.ada.run("dvc", "push", "-q", "--run-cache", cwd=firm.ada.root)
    stub.pulls[0]["head"]["sha"] = firm.ada.commit("Ran it here", repro=False)
    firm.ada.git("push", "-q", "origin", "faster")
    done = runner.run(COMMENT, "workflow_run", firm.finished(stub.pulls[0]))
    assert [status["state"] for status in stub.statuses] == ["pending", "success"], done["publish"].log
    assert len(stub.comments) == 1
    assert stub.comments[0]["body"].startswith(MARKER)
    assert "Pass" in stub.comments[0]["body"]


def test_a_branch_that_moved_while_it_was_trained_is_not_overwritten(firm: Firm) -> None:
    head = firm.branch("faster", 0.9, seed=3)
    firm.ada.commit("One more thought", repro=False)
    firm.ada.git("push", "-q", "origin", "faster")
    here = {"TUNEGATE_FORGE": "local", "TUNEGATE_HEAD": "origin/faster"}
    done = firm.runner(**here).run(TUNE, "pull_request", {"pull_request": firm.pull_request("faster", head)})
    assert (done["train"].result, done["gate"].result) == ("failure", "skipped")
    assert "the job for the branch's new commit trains it" in done["train"].log


@pytest.mark.parametrize(
    ("event", "conclusion", "expected"),
    [
        ("pull_request", "success", True),
        ("pull_request", "failure", True),
        ("pull_request_review", "success", True),
        ("pull_request", "cancelled", False),
        ("pull_request_review", "skipped", False),
        ("push", "success", False),
    ],
)
def test_what_ends_a_workflow_decides_whether_anything_is_published(
    event: str, conclusion: str, expected: bool
) -> None:
    github = {"event": {"workflow_run": {"event": event, "conclusion": conclusion}}}
    contexts = {"github": github, "functions": {"success": True}}
    assert actions.holds(COMMENT["jobs"]["publish"]["if"], contexts) is expected


def test_a_newer_push_cancels_the_run_of_an_older_one_but_no_publication() -> None:
    assert TUNE["concurrency"]["cancel-in-progress"] is True
    assert COMMENT["concurrency"]["cancel-in-progress"] is False

    def group(number: int, review: str | None = None) -> str:
        event = {"pull_request": {"number": number}, "review": {"state": review} if review else None}
        return actions.filled(TUNE["concurrency"]["group"], {"github": {"event": event}})

    assert group(7) == "tune-7-push"
    assert len({group(7), group(8), group(7, "approved"), group(7, "commented")}) == 4, "talk does not stop a training"


def test_only_one_job_may_write_status_and_comment_and_one_other_the_branch() -> None:
    def writing(workflow: dict[str, Any]) -> dict[str, list[str]]:
        return {
            name: sorted(what for what, how in job["permissions"].items() if how == "write")
            for name, job in workflow["jobs"].items()
        }

    assert TUNE["permissions"] == COMMENT["permissions"] == {}
    assert writing(TUNE) == {"verify": [], "train": ["contents"], "gate": []}
    assert writing(COMMENT) == {"publish": ["pull-requests", "statuses"]}
    checkouts = [step for step in COMMENT["jobs"]["publish"]["steps"] if "checkout" in step.get("uses", "")]
    assert [step["with"]["ref"] for step in checkouts] == ["${{ github.event.repository.default_branch }}"]
