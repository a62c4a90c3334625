from pathlib import Path

import pytest
from forge_stub import TOKEN

from tunegate.errors import InputError, UsageError
from tunegate.repository.revisions import open_repository
from tunegate.review.forges.detect import NAMES, open_forge

ENVIRONMENT = {
    "GITHUB_TOKEN": TOKEN,
    "GITHUB_REPOSITORY": "firm/desk",
    "CI_JOB_TOKEN": TOKEN,
    "CI_API_V4_URL": "http://127.0.0.1",
    "CI_PROJECT_ID": "5",
}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "local"),
        ({"GITHUB_ACTIONS": "true"}, "github"),
        ({"GITLAB_CI": "true"}, "gitlab"),
        ({"GITHUB_ACTIONS": "false", "GITLAB_CI": ""}, "local"),
    ],
)
def test_the_environment_says_which_forge_it_is(variables: dict[str, str], expected: str, tmp_path: Path) -> None:
    root = open_repository(Path(__file__).parent).root
    assert open_forge(root=root, environment=ENVIRONMENT | variables).name == expected


@pytest.mark.parametrize("name", NAMES)
def test_a_forge_that_is_asked_for_wins(name: str) -> None:
    root = open_repository(Path(__file__).parent).root
    assert open_forge(name, root=root, environment=ENVIRONMENT | {"GITHUB_ACTIONS": "true"}).name == name


def test_an_unknown_forge_is_an_error_that_lists_them() -> None:
    with pytest.raises(UsageError, match="no such forge") as caught:
        open_forge("gitea", environment={})
    assert "github, gitlab, local" in str(caught.value)


def test_outside_any_repository_there_is_no_change(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a git repository"):
        open_forge(root=tmp_path, environment={})
