from typing import Any

import pytest
from forge_stub import TOKEN, Stub

from tunegate.errors import InputError
from tunegate.review.forges.gitlab import GitLab
from tunegate.review.forges.interface import CONTEXT, MARKER


@pytest.fixture
def environment(stub: Stub) -> dict[str, str]:
    stub.pulls = [
        {
            "iid": 7,
            "target_branch": "main",
            "source_branch": "faster",
            "sha": "a" * 40,
            "source_project_id": 5,
            "target_project_id": 5,
            "author": {"username": "ada"},
        }
    ]
    stub.login = "gate-bot"
    return {
        "GITLAB_TOKEN": TOKEN,
        "CI_API_V4_URL": stub.url,
        "CI_PROJECT_ID": "5",
        "CI_PROJECT_URL": "https://git.firm.example/desk",
        "CI_SERVER_URL": "https://git.firm.example",
        "CI_MERGE_REQUEST_IID": "7",
        "CI_DEFAULT_BRANCH": "main",
    }


def forge(environment: dict[str, str]) -> GitLab:
    return GitLab(environment)


def test_a_merge_request_is_described_as_it_is_now(environment: dict[str, str], stub: Stub) -> None:
    change = forge(environment).change()
    assert (change.number, change.head, change.base, change.author) == (7, "a" * 40, "b" * 40, "ada")
    assert (change.base_ref, change.default_ref) == ("main", "main")
    assert (change.is_fork, change.fetch) == (False, "refs/merge-requests/7/head")
    stub.pulls[0]["source_project_id"] = 6
    assert forge(environment).change().is_fork


def test_the_pipeline_that_publishes_takes_the_number_from_its_environment(environment: dict[str, str]) -> None:
    del environment["CI_MERGE_REQUEST_IID"]
    with pytest.raises(InputError, match="merge request"):
        forge(environment).change()
    environment["TUNEGATE_CHANGE"] = "7"
    assert forge(environment).change().number == 7
    environment["TUNEGATE_CHANGE"] = "7/../8"
    with pytest.raises(InputError, match="not a merge request's number"):
        forge(environment).change()


def test_a_note_is_written_once_and_then_updated_in_place(environment: dict[str, str], stub: Stub) -> None:
    stub.comments = [{"id": n, "body": f"{MARKER}\npass!", "author": {"username": "ada"}} for n in (1, 2, 3)]
    change = forge(environment).change()
    first = forge(environment).comment(change, MARKER, "training")
    assert first == forge(environment).comment(change, MARKER, "refused")
    assert first == "https://git.firm.example/desk/-/merge_requests/7#note_4"
    assert [note["body"] for note in stub.comments] == [f"{MARKER}\npass!"] * 3 + [f"{MARKER}\nrefused"]


def test_a_lost_answer_does_not_make_a_second_note(environment: dict[str, str], stub: Stub) -> None:
    stub.then_fail = [504]
    forge(environment).comment(forge(environment).change(), MARKER, "once")
    assert [note["body"] for note in stub.comments] == [f"{MARKER}\nonce"]


@pytest.mark.parametrize(
    ("state", "expected"),
    [("success", "success"), ("failure", "failed"), ("pending", "pending"), ("error", "failed")],
)
def test_a_status_is_written_in_gitlabs_words(
    environment: dict[str, str], stub: Stub, state: Any, expected: str
) -> None:
    forge(environment).status(forge(environment).change(), state, "words", "")
    assert stub.statuses == [{"sha": "a" * 40, "state": expected, "name": CONTEXT, "description": "words"}]


def test_an_approval_counts_from_another_who_may_push_after_the_commit_came(
    environment: dict[str, str], stub: Stub
) -> None:
    def approval(who: str, number: int, at: str | None) -> dict[str, Any]:
        return {"user": {"username": who, "id": number}, "approved_at": at}

    stub.versions = [
        {"head_commit_sha": "a" * 40, "created_at": "2026-11-21T10:00:00.000Z"},
        {"head_commit_sha": "c" * 40, "created_at": "2026-11-21T09:00:00.000Z"},
    ]
    late = "2026-11-21T11:30:00.000+01:00"
    stub.approved = [
        approval("ada", 11, late),  # the author
        approval("grace", 11, late),
        approval("kim", 12, late),
        approval("eve", 13, late),  # a reporter may not push
        approval("mallory", 14, late),  # no member
        approval("joan", 11, "2026-11-21T10:30:00.000+01:00"),  # before the commit came
        approval("mary", 11, None),
    ]
    assert forge(environment).approvals(forge(environment).change()) == ["grace", "kim"]
    stub.versions.pop(0)
    assert forge(environment).approvals(forge(environment).change()) == [], "a version that GitLab does not list"


def test_the_jobs_own_token_is_used_where_there_is_no_other(environment: dict[str, str]) -> None:
    del environment["GITLAB_TOKEN"]
    with pytest.raises(InputError, match="CI_JOB_TOKEN: not set"):
        forge(environment)
    environment["CI_JOB_TOKEN"] = TOKEN
    assert forge(environment).change().number == 7
    assert forge(environment).git_environment()["GIT_CONFIG_KEY_0"] == "http.https://git.firm.example/.extraheader"
