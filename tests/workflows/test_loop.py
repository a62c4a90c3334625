"""The whole loop without a forge, by the workflows as they stand; with a stub of GitHub where one is needed."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import forge_stub
import pytest
import workflow_runner
from firm import COMMENT, TUNE, Firm, job_environment, propose, publish
from miniature import Miniature

from tunegate.files import read_json, write_text
from tunegate.review.forges.interface import CONTEXT, MARKER

RESULTS = {"dvc.lock", *(f"reports/{name}" for name in ("confusion.csv", "data.json", "metrics.json", "timings.json"))}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return job_environment(tmp_path_factory.mktemp("home"))


@pytest.fixture
def firm(miniature: Miniature, environment: dict[str, str], tmp_path: Path) -> Firm:
    return Firm(tmp_path, miniature, environment, f"url = {tmp_path / 'remote'}")


@pytest.fixture
def stub(firm: Firm) -> Iterator[forge_stub.Stub]:
    with forge_stub.serve() as made:
        made.base = firm.ada.git("rev-parse", "origin/main")
        yield made


def test_a_better_model_is_trained_judged_and_may_be_merged(firm: Firm) -> None:
    firm.branch("faster", 0.9, seed=3)
    assert "has no passing verdict" in firm.push_to_main(code=1)

    done = propose(firm, "faster")
    log = "".join(result.log for result in done.values())
    assert {name: result.result for name, result in done.items()} == dict.fromkeys(done, "success"), log
    assert done["verify"].outputs == {"run": "missing"}
    firm.ada.git("fetch", "-q")
    assert done["train"].outputs == {"commit": firm.ada.git("rev-parse", "origin/faster")}
    changed = set(firm.ada.git("diff", "--name-only", "faster", "origin/faster").split())
    assert {"dvc.lock", "reports/metrics.json"} <= changed <= RESULTS
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


def test_a_worse_model_is_trained_without_secrets_refused_and_kept_out(firm: Firm) -> None:
    environment, pipeline = firm.folder / "environment", firm.ada.root / "dvc.yaml"
    firm.branch("slower", 0.2, seed=5)
    stages = pipeline.read_text()
    pipeline.write_text(stages.replace("rm -rf models/adapter", f"env > {environment}; rm -rf models/adapter"))
    firm.ada.commit("Look around", repro=False)
    firm.ada.git("push", "-q", "origin", "slower")
    done = propose(firm, "slower")
    variables = dict(line.partition("=")[::2] for line in environment.read_text().splitlines())
    assert [variables[name] for name in ("GITHUB_TOKEN", "TUNEGATE_DVC_CONFIG")] == ["", ""]
    assert "s3cret" not in environment.read_text()
    assert [done[name].result for name in ("verify", "train", "gate")] == ["success", "success", "failure"]
    assert read_json(firm.folder / "runner/artifacts/gate/verdict.json")["outcome"] == "refused"
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


def test_a_pull_request_onto_another_branch_gets_no_status(firm: Firm, stub: forge_stub.Stub) -> None:
    head = firm.branch("faster", 0.9, seed=3)
    pull = firm.pull_request("faster", head)
    pull["base"]["ref"] = "weak"
    stub.pulls.append(pull)
    done = firm.runner(GITHUB_API_URL=stub.url).run(COMMENT, "workflow_run", firm.finished(pull))
    assert done["publish"].result == "success", done["publish"].log
    assert "nothing to publish: it goes to weak, and only changes to main are judged" in done["publish"].log
    assert (stub.statuses, stub.comments) == ([], [])


def test_what_goes_wrong_before_the_judgement_is_a_status_too(firm: Firm, stub: forge_stub.Stub) -> None:
    head = firm.branch("faster", 0.9, seed=3)
    stub.pulls.append(firm.pull_request("faster", head))
    forbidden = (403, {}, '{"message": "Resource not accessible"}')
    stub.fails["GET repos/firm/desk/pulls/7/reviews"] = forbidden
    done = firm.runner(GITHUB_API_URL=stub.url).run(COMMENT, "workflow_run", firm.finished(stub.pulls[0]))
    assert done["publish"].result == "failure"
    assert [(status["sha"], status["state"]) for status in stub.statuses] == [(head, "error")]
    assert "nothing was judged: not permitted (403)" in stub.statuses[0]["description"]


def test_nothing_of_a_branch_is_imported_or_executed_to_publish_it(firm: Firm, stub: forge_stub.Stub) -> None:
    firm.branch("faster", 0.9, seed=3)
    trap = firm.folder / "executed"
    code = f"open({str(trap)!r}, 'w').close()\n"
    for path in ("src/tunegate/__init__.py", "tunegate/__init__.py", "src/sitecustomize.py", "dvc/__init__.py"):
        write_text(firm.ada.root / path, code)
    firm.ada.run("dvc", "repro", "-q", cwd=firm.ada.root)
    firm.ada.run("dvc", "push", "-q", "--run-cache", cwd=firm.ada.root)
    head = firm.ada.commit("Traps", repro=False)
    firm.ada.git("push", "-q", "origin", "faster")
    trap.unlink(missing_ok=True)
    stub.pulls.append(firm.pull_request("faster", head))
    # Processes of their own, not forks: what those import has been imported before.
    runner = firm.runner(GITHUB_API_URL=stub.url, TUNEGATE_TEST_FORKSERVER="")
    done = runner.run(COMMENT, "workflow_run", firm.finished(stub.pulls[0]))
    assert [status["state"] for status in stub.statuses] == ["success"], done["publish"].log
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
