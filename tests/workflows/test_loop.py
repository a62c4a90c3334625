"""The whole loop without a forge, by the workflows as they stand; with a stub of GitHub where one is needed."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import forge_stub
import pytest
import workflow_runner
from git_host import COMMENT, TUNE, GitHost, job_environment, propose, publish
from miniature import Miniature

from tunegate.files import read_json, write_text
from tunegate.review.forges.interface import CONTEXT, MARKER

RESULTS = {"dvc.lock", *(f"reports/{name}" for name in ("confusion.csv", "data.json", "metrics.json", "timings.json"))}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return job_environment(tmp_path_factory.mktemp("home"))


@pytest.fixture
def host(miniature: Miniature, environment: dict[str, str], tmp_path: Path) -> GitHost:
    return GitHost(tmp_path, miniature, environment, f"url = {tmp_path / 'remote'}")


@pytest.fixture
def stub(host: GitHost) -> Iterator[forge_stub.Stub]:
    with forge_stub.serve() as server:
        server.base = host.ada.git("rev-parse", "origin/main")
        yield server


def test_a_better_model_is_trained_judged_and_may_be_merged(host: GitHost) -> None:
    host.branch("faster", 0.9, seed=3)
    assert "has no passing verdict" in host.push_to_main(code=1)

    done = propose(host, "faster")
    log = "".join(result.log for result in done.values())
    assert {name: result.result for name, result in done.items()} == dict.fromkeys(done, "success"), log
    assert done["verify"].outputs == {"run": "missing"}
    host.ada.git("fetch", "-q")
    assert done["train"].outputs == {"commit": host.ada.git("rev-parse", "origin/faster")}
    changed = set(host.ada.git("diff", "--name-only", "faster", "origin/faster").split())
    assert {"dvc.lock", "reports/metrics.json"} <= changed <= RESULTS
    artifact = host.folder / "runner/artifacts/gate"
    assert read_json(artifact / "verdict.json")["outcome"] == "pass"
    assert (artifact / "report.html").is_file()
    assert "Pass" in (host.folder / "runner/gate-summary.md").read_text()

    host.ada.git("merge", "-q", "--ff-only", "origin/faster")
    assert "has no passing verdict" in host.push_to_main(code=1), "a job's word is no verdict"
    done = publish(host, "faster")
    assert done["publish"].result == "success", done["publish"].log
    host.push_to_main()

    again = propose(host, "faster")
    assert again["verify"].outputs == {"run": "present"}, again["verify"].log
    assert again["train"].result == "skipped"


def test_a_worse_model_is_trained_without_secrets_refused_and_kept_out(host: GitHost) -> None:
    environment, pipeline = host.folder / "environment", host.ada.root / "dvc.yaml"
    host.branch("slower", 0.2, seed=5)
    stages = pipeline.read_text()
    pipeline.write_text(stages.replace("rm -rf models/adapter", f"env > {environment}; rm -rf models/adapter"))
    host.ada.commit("Look around", repro=False)
    host.ada.git("push", "-q", "origin", "slower")
    done = propose(host, "slower")
    variables = dict(line.partition("=")[::2] for line in environment.read_text().splitlines())
    assert [variables[name] for name in ("GITHUB_TOKEN", "TUNEGATE_DVC_CONFIG")] == ["", ""]
    assert "s3cret" not in environment.read_text()
    assert [done[name].result for name in ("verify", "train", "gate")] == ["success", "success", "failure"]
    assert read_json(host.folder / "runner/artifacts/gate/verdict.json")["outcome"] == "refused"
    host.ada.git("fetch", "-q")
    assert publish(host, "slower")["publish"].result == "success"
    host.ada.git("merge", "-q", "--ff-only", "origin/slower")
    assert "has no passing verdict" in host.push_to_main(code=1)
    note = host.ada.run("git", "notes", "--ref=tunegate", "show", "slower", cwd=host.origin)
    assert json.loads(note)[CONTEXT]["state"] == "failure"


def test_only_ci_writes_verdicts(host: GitHost) -> None:
    host.branch("faster", 0.9, seed=3)
    note = json.dumps({CONTEXT: {"state": "success"}}, indent=2)
    host.ada.git("notes", "--ref=tunegate", "add", "-m", note, "HEAD")
    said = host.ada.run("git", "push", "origin", "refs/notes/tunegate", cwd=host.ada.root, code=1)
    assert "may not write verdicts" in said


def test_a_fork_is_not_trained_not_executed_and_waits_for_a_maintainer(host: GitHost, stub: forge_stub.Stub) -> None:
    head = host.branch("guests", 0.95, seed=4)
    trap = host.folder / "executed"
    pipeline = host.ada.root / "dvc.yaml"
    pipeline.write_text(pipeline.read_text().replace("mkdir -p reports", f"touch {trap}; mkdir -p reports"))
    head = host.ada.commit("A trap", repro=False)
    host.ada.git("push", "-q", "origin", "HEAD:refs/pull/7/head", ":guests")
    pull = host.pull_request("guests", head, repository="guest/desk")
    stub.pulls.append(pull)
    runner = host.runner(GITHUB_API_URL=stub.url)
    runner.secrets = {}  # as GitHub does for a fork
    done = runner.run(TUNE, "pull_request", {"pull_request": pull})
    assert {name: result.result for name, result in done.items()} == {
        "verify": "failure",
        "train": "skipped",
        "gate": "skipped",
    }
    assert "a maintainer pushes the commits to a branch of this repository" in done["verify"].log

    done = host.runner(GITHUB_API_URL=stub.url).run(COMMENT, "workflow_run", host.finished(pull))
    assert done["publish"].result == "success", done["publish"].log
    assert [(status["sha"], status["state"]) for status in stub.statuses] == [(head, "pending")]
    assert stub.statuses[0]["target_url"] == "http://127.0.0.1/firm/desk/actions/runs/42"
    assert "a maintainer has to run this" in stub.comments[0]["body"]
    assert not trap.exists()


def test_a_pull_request_onto_another_branch_gets_no_status(host: GitHost, stub: forge_stub.Stub) -> None:
    head = host.branch("faster", 0.9, seed=3)
    pull = host.pull_request("faster", head)
    pull["base"]["ref"] = "weak"
    stub.pulls.append(pull)
    done = host.runner(GITHUB_API_URL=stub.url).run(COMMENT, "workflow_run", host.finished(pull))
    assert done["publish"].result == "success", done["publish"].log
    assert "nothing to publish: it goes to weak, and only changes to main are judged" in done["publish"].log
    assert (stub.statuses, stub.comments) == ([], [])


def test_what_goes_wrong_before_the_judgement_is_a_status_too(host: GitHost, stub: forge_stub.Stub) -> None:
    head = host.branch("faster", 0.9, seed=3)
    stub.pulls.append(host.pull_request("faster", head))
    forbidden = (403, {}, '{"message": "Resource not accessible"}')
    stub.fails["GET repos/firm/desk/pulls/7/reviews"] = forbidden
    done = host.runner(GITHUB_API_URL=stub.url).run(COMMENT, "workflow_run", host.finished(stub.pulls[0]))
    assert done["publish"].result == "failure"
    assert [(status["sha"], status["state"]) for status in stub.statuses] == [(head, "error")]
    assert "nothing was judged: HTTP status 403" in stub.statuses[0]["description"]


def test_nothing_of_a_branch_is_imported_or_executed_to_publish_it(host: GitHost, stub: forge_stub.Stub) -> None:
    host.branch("faster", 0.9, seed=3)
    trap = host.folder / "executed"
    code = f"open({str(trap)!r}, 'w').close()\n"
    for path in ("src/tunegate/__init__.py", "tunegate/__init__.py", "src/sitecustomize.py", "dvc/__init__.py"):
        write_text(host.ada.root / path, code)
    host.ada.run("dvc", "repro", "-q", cwd=host.ada.root)
    host.ada.run("dvc", "push", "-q", "--run-cache", cwd=host.ada.root)
    head = host.ada.commit("Traps", repro=False)
    host.ada.git("push", "-q", "origin", "faster")
    trap.unlink(missing_ok=True)
    stub.pulls.append(host.pull_request("faster", head))
    # Processes of their own, not forks: what those import has been imported before.
    runner = host.runner(GITHUB_API_URL=stub.url, TUNEGATE_TEST_FORKSERVER="")
    done = runner.run(COMMENT, "workflow_run", host.finished(stub.pulls[0]))
    assert [status["state"] for status in stub.statuses] == ["success"], done["publish"].log
    assert not trap.exists()


def test_the_comment_is_updated_in_place_from_waiting_to_the_verdict(host: GitHost, stub: forge_stub.Stub) -> None:
    head = host.branch("faster", 0.9, seed=3)
    stub.pulls.append(host.pull_request("faster", head))
    runner = host.runner(GITHUB_API_URL=stub.url)
    assert runner.run(COMMENT, "workflow_run", host.finished(stub.pulls[0]))["publish"].result == "success"
    assert "the job train makes it" in stub.comments[0]["body"]
    host.ada.run("dvc", "repro", "-q", cwd=host.ada.root)
    host.ada.run("dvc", "push", "-q", "--run-cache", cwd=host.ada.root)
    stub.pulls[0]["head"]["sha"] = host.ada.commit("Ran it here", repro=False)
    host.ada.git("push", "-q", "origin", "faster")
    done = runner.run(COMMENT, "workflow_run", host.finished(stub.pulls[0]))
    assert [status["state"] for status in stub.statuses] == ["pending", "success"], done["publish"].log
    assert len(stub.comments) == 1
    assert stub.comments[0]["body"].startswith(MARKER)
    assert "Pass" in stub.comments[0]["body"]


def test_a_branch_that_moved_while_it_was_trained_is_not_overwritten(host: GitHost) -> None:
    head = host.branch("faster", 0.9, seed=3)
    host.ada.commit("One more thought", repro=False)
    host.ada.git("push", "-q", "origin", "faster")
    here = {"TUNEGATE_FORGE": "local", "TUNEGATE_HEAD": "origin/faster"}
    done = host.runner(**here).run(TUNE, "pull_request", {"pull_request": host.pull_request("faster", head)})
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
    assert workflow_runner.holds(COMMENT["jobs"]["publish"]["if"], contexts) is expected


def test_a_newer_push_cancels_the_run_of_an_older_one_but_no_publication() -> None:
    assert TUNE["concurrency"]["cancel-in-progress"] is True
    assert COMMENT["concurrency"]["cancel-in-progress"] is False

    def group(number: int, review: str | None = None) -> str:
        event = {"pull_request": {"number": number}, "review": {"state": review} if review else None}
        return workflow_runner.filled(TUNE["concurrency"]["group"], {"github": {"event": event}})

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
