import base64
import json
from pathlib import Path
from typing import Any

import pytest
from forge_stub import TOKEN, Stub

from tunegate.errors import InputError
from tunegate.review.forges.github import GitHub
from tunegate.review.forges.interface import CONTEXT, MARKER, NoChangeError

FORK = {"full_name": "guest/desk", "owner": {"login": "guest"}}


@pytest.fixture
def environment(stub: Stub, tmp_path: Path) -> dict[str, str]:
    stub.pull()
    return {
        "GITHUB_TOKEN": TOKEN,
        "GITHUB_REPOSITORY": "firm/desk",
        "GITHUB_API_URL": stub.url,
        "GITHUB_EVENT_PATH": event(tmp_path, {"pull_request": {"number": 7}}),
    }


def event(folder: Path, content: dict[str, Any]) -> str:
    path = folder / "event.json"
    path.write_text(json.dumps(content))
    return str(path)


def run_of(branch: str, repository: dict[str, Any]) -> dict[str, Any]:
    return {"workflow_run": {"head_branch": branch, "head_repository": repository, "pull_requests": []}}


def forge(environment: dict[str, str]) -> GitHub:
    return GitHub(environment)


def test_a_pull_request_is_described_as_it_is_now(environment: dict[str, str], stub: Stub) -> None:
    stub.pulls[0]["head"]["sha"] = "c" * 40
    change = forge(environment).change()
    assert (change.number, change.head, change.base, change.author) == (7, "c" * 40, "b" * 40, "ada")
    assert (change.base_ref, change.head_ref, change.is_fork) == ("main", "faster", False)
    assert change.fetch == "refs/pull/7/head"


def test_a_pull_request_from_a_fork_says_so(environment: dict[str, str], stub: Stub) -> None:
    stub.pulls[0]["head"]["repo"] = FORK
    change = forge(environment).change()
    assert (change.is_fork, change.head_repository) == (True, "guest/desk")
    stub.pulls[0]["head"]["repo"] = None
    assert forge(environment).change().is_fork, "a fork that was deleted"


def test_a_finished_workflow_leads_to_its_pull_request_also_from_a_fork(
    environment: dict[str, str], stub: Stub, tmp_path: Path
) -> None:
    stub.pull(8, head={"ref": "faster", "sha": "d" * 40, "repo": FORK})
    environment["GITHUB_EVENT_PATH"] = event(tmp_path, run_of("faster", FORK))
    assert forge(environment).change().number == 8
    environment["GITHUB_EVENT_PATH"] = event(tmp_path, run_of("gone", FORK))
    with pytest.raises(NoChangeError, match="guest:gone: no open pull request"):
        forge(environment).change()


def test_of_several_pull_requests_of_one_branch_the_one_onto_the_default_branch_counts(
    environment: dict[str, str], stub: Stub, tmp_path: Path
) -> None:
    own = stub.pulls[0]["head"]["repo"]
    stub.pulls[0]["base"] = {"ref": "weak", "repo": {"default_branch": "main"}}
    environment["GITHUB_EVENT_PATH"] = event(tmp_path, run_of("faster", own))
    change = forge(environment).change()
    assert (change.number, change.base_ref, change.default_ref) == (7, "weak", "main")
    stub.pull(8)
    stub.pull(9, base={"ref": "weak", "repo": {"default_branch": "main"}})
    assert forge(environment).change().number == 8


def test_an_event_about_no_pull_request_is_an_error(environment: dict[str, str], tmp_path: Path) -> None:
    environment["GITHUB_EVENT_PATH"] = event(tmp_path, {"ref": "refs/heads/main"})
    with pytest.raises(InputError, match="does not name a pull request"):
        forge(environment).change()


def test_a_comment_is_written_once_and_then_updated_in_place(environment: dict[str, str], stub: Stub) -> None:
    stub.comments = [
        {"id": number, "body": "hello", "user": {"login": "ada", "type": "User"}, "html_url": ""}
        for number in (1, 2, 3)
    ]
    change = forge(environment).change()
    first = forge(environment).comment(change, MARKER, "training")
    second = forge(environment).comment(change, MARKER, "refused")
    assert first == second
    assert [comment["body"] for comment in stub.comments] == ["hello", "hello", "hello", f"{MARKER}\nrefused"]


def test_without_leave_to_create_only_a_comment_that_is_there_is_written(
    environment: dict[str, str], stub: Stub
) -> None:
    change = forge(environment).change()
    assert forge(environment).comment(change, MARKER, "fine", create=False) == ""
    assert stub.comments == []
    forge(environment).comment(change, MARKER, "training")
    assert forge(environment).comment(change, MARKER, "fine", create=False)
    assert [comment["body"] for comment in stub.comments] == [f"{MARKER}\nfine"]


def test_a_comment_of_another_with_our_marker_is_left_alone(environment: dict[str, str], stub: Stub) -> None:
    stub.comments = [{"id": 1, "body": f"{MARKER}\npass!", "user": {"login": "ada", "type": "User"}, "html_url": ""}]
    forge(environment).comment(forge(environment).change(), MARKER, "refused")
    assert [comment["body"] for comment in stub.comments] == [f"{MARKER}\npass!", f"{MARKER}\nrefused"]
    stub.login = "ada"
    forge(environment).comment(forge(environment).change(), MARKER, "hers")
    assert stub.comments[0]["body"] == f"{MARKER}\nhers", "with her own token it is ours"


def test_a_lost_answer_does_not_make_a_second_comment(environment: dict[str, str], stub: Stub) -> None:
    stub.then_fail = [502]
    forge(environment).comment(forge(environment).change(), MARKER, "once")
    assert [comment["body"] for comment in stub.comments] == [f"{MARKER}\nonce"]


def test_the_status_is_that_of_the_gate_and_fits(environment: dict[str, str], stub: Stub) -> None:
    change = forge(environment).change()
    forge(environment).status(change, "failure", "worse by\n" + "x" * 300, "https://ci.example/run/1")
    status = stub.statuses[0]
    assert (status["sha"], status["state"], status["context"]) == ("a" * 40, "failure", CONTEXT)
    assert status["target_url"] == "https://ci.example/run/1"
    assert len(status["description"]) == 140
    assert status["description"].startswith("worse by x")


def test_an_approval_counts_from_someone_else_who_may_write_and_saw_this_commit(
    environment: dict[str, str], stub: Stub
) -> None:
    def review(who: str, state: str = "APPROVED", commit: str = "a" * 40) -> dict[str, Any]:
        return {"user": {"login": who}, "state": state, "commit_id": commit}

    stub.permissions = dict.fromkeys(("ada", "grace", "joan", "mary"), "write") | {"eve": "read", "kim": "admin"}
    stub.reviews = [
        review("ada"),  # the author
        review("eve"),  # may only read
        review("mallory"),  # is nobody here
        review("joan", commit="c" * 40),  # saw another commit
        review("mary"),
        review("mary", "CHANGES_REQUESTED"),  # thought again
        review("grace", "CHANGES_REQUESTED"),
        review("grace"),
        review("grace", "COMMENTED"),
        review("kim"),
    ]
    assert forge(environment).approvals(forge(environment).change()) == ["grace", "kim"]


def test_git_gets_the_token_for_this_server_only(environment: dict[str, str]) -> None:
    environment["GITHUB_SERVER_URL"] = "https://git.firm.example"
    given = forge(environment).git_environment()
    assert given["GIT_CONFIG_KEY_0"] == "http.https://git.firm.example/.extraheader"
    secret = given["GIT_CONFIG_VALUE_0"].removeprefix("AUTHORIZATION: basic ")
    assert base64.b64decode(secret).decode() == f"x-access-token:{TOKEN}"


@pytest.mark.parametrize("name", ["GITHUB_TOKEN", "GITHUB_REPOSITORY"])
def test_what_a_job_must_set_is_named(environment: dict[str, str], name: str) -> None:
    environment[name] = " "
    with pytest.raises(InputError, match=f"{name}: not set"):
        forge(environment)


def test_a_repository_name_cannot_lead_elsewhere(environment: dict[str, str]) -> None:
    environment["GITHUB_REPOSITORY"] = "../user"
    with pytest.raises(InputError):
        forge(environment).change()
