import base64

import pytest

from tunegate.errors import InputError
from tunegate.review.forges.interface import git_header, required, shortened


@pytest.mark.parametrize("server", ["https://forge.example", "https://forge.example/"])
def test_a_token_goes_to_its_server_and_to_no_other(server: str) -> None:
    header = git_header(server, "x-access-token", "s3cret")
    assert header["GIT_CONFIG_KEY_0"] == "http.https://forge.example/.extraheader"
    word, kind, secret = header["GIT_CONFIG_VALUE_0"].split()
    assert (header["GIT_CONFIG_COUNT"], word, kind) == ("1", "AUTHORIZATION:", "basic")
    assert base64.b64decode(secret) == b"x-access-token:s3cret"


@pytest.mark.parametrize("environment", [{}, {"TOKEN": ""}, {"TOKEN": " \n"}])
def test_a_variable_that_is_missing_or_empty_is_named(environment: dict[str, str]) -> None:
    assert required({"TOKEN": " s3cret\n"}, "TOKEN", "") == "s3cret"
    with pytest.raises(InputError, match="the job's token") as caught:
        required(environment, "TOKEN", "the job's token")
    assert caught.value.place == "TOKEN"


def test_a_text_becomes_one_line_within_the_limit() -> None:
    assert shortened("two\n lines  of text", 17) == "two lines of text"
    assert shortened("two\n lines  of text", 16) == "two lines of te…"
