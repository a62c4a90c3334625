import random
import string
from collections.abc import Callable

import pyarrow as pa
import pytest

from tunegate.data.preparation.secrets import concerns, find, looks_random, may_concern, treat
from tunegate.data.rows import Row

Make = Callable[..., Row]
_RNG = random.Random(3)


def noise(length: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    return "".join(_RNG.choices(alphabet, k=length))


# Put together here: written out, they would be secrets in a file of the repository.
DASHES, KEY, RANDOM, WORD = "-" * 5, "PRIVATE " + "KEY", "Xk29!" + "fjq", "pass" + "word"
SECRETS = {
    "private_key": f"{DASHES}BEGIN RSA {KEY}{DASHES}\n{noise(64)}\n{DASHES}END RSA {KEY}{DASHES}",
    "aws_key": "AKIA" + noise(16, string.ascii_uppercase),
    "github_token": "ghp_" + noise(36),
    "gitlab_token": "glpat-" + noise(20),
    "slack_token": "xoxb-" + noise(12, string.digits) + "-" + noise(24),
    "stripe_key": "sk_live_" + noise(24),
    "model_key": "sk-proj-" + noise(40),
    "registry_token": "npm_" + noise(36),
    "google_key": "AIza" + noise(35),
    "sendgrid_key": f"SG.{noise(22)}.{noise(43)}",
    "telegram_token": f"{noise(9, '123456789')}:AA{noise(33)}",
    "digitalocean_token": "dop_v1_" + noise(64, "0123456789abcdef"),
    "jwt": f"eyJ{noise(20)}.eyJ{noise(40)}.{noise(43)}",
    "url_password": WORD[:4] + "42xy",
    "password": RANDOM,
}
WRITTEN = {sort: f"Here: {value} it is" for sort, value in SECRETS.items()} | {
    "url_password": f"see postgresql://anna:{SECRETS['url_password']}@db.firm.se/x",
    "password": f"Lösenordet är {RANDOM}",
}
HARMLESS = [
    "password: changeme",
    "the password must have 8 characters",
    "password is case-sensitive",
    "password: Minst 8 tecken",
    "token = os.environ['GITHUB_TOKEN_2']",
    "secret: self.client2.secret",
    "password=getpass.getpass('pw1')",
    "pwd: /home/anna/work1",
    "password: {{ vault.pw1 }}",
    "max_tokens = 25600000, tokenizer: bert2-base",
    "token: 2024-01-05",
    "class sk-circle-container-large-thing",
    "AKIAIOSFODNN7" + "EXAMPLE",
    f"https://user:{WORD}@host/x and https://firm.se:8080/a@b",
    "Secret ingredient: 2-3 tablespoons of tar",
    "The secret is well-known.",
    "commit 0123456789abcdef0123456789abcdef01234567",
]


@pytest.mark.parametrize("sort", SECRETS)
def test_each_sort_of_secret_is_found_and_only_it_is_masked(sort: str, row: Make) -> None:
    treated, changes = treat(row("1", text=WRITTEN[sort]), "mask")
    assert treated is not None
    assert treated.text == WRITTEN[sort].replace(SECRETS[sort], "[SECRET]")
    assert changes == [f"masked: {sort}"]
    assert treat(treated, "mask") == (treated, [])


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_looks_like_a_secret_is_left_alone(text: str) -> None:
    assert find(text) == []


def test_a_row_is_dropped_or_kept_and_counted_and_the_change_never_says_the_secret(row: Make) -> None:
    given = row("1", text=f"{WRITTEN['github_token']} {WRITTEN['password']}")
    assert treat(given, "drop") == (None, ["found: github_token", "found: password"])
    assert treat(given, "keep") == (given, ["found: github_token", "found: password"])


def test_messages_and_labels_are_looked_at(row: Make) -> None:
    messages = ({"role": "user", "content": WRITTEN["aws_key"]}, {"role": "assistant", "content": "ok"})
    assert treat(row("1", text=None, label=None, messages=messages), "drop")[0] is None
    assert treat(row("2", label=SECRETS["github_token"]), "drop")[0] is None


def test_the_screen_hides_no_secret_alone_or_over_arrow() -> None:
    texts = [*WRITTEN.values(), *HARMLESS, f"DB_PASSWORD='{RANDOM}'", f"LÖSENORD: {RANDOM}"]
    assert all(may_concern(text) for text in texts if find(text))
    assert concerns(pa.array([*texts, None])).to_pylist() == [*map(may_concern, texts), False]
    assert not may_concern("The roof has leaked since 2019, and the key is under the mat.")


def test_a_password_is_random_when_letters_stand_with_digits_or_signs() -> None:
    assert looks_random(RANDOM)
    assert not any(map(looks_random, ("password", "12345678", "aaaaaaa1", "your-key-123", RANDOM[1:])))


def test_a_private_key_that_is_cut_is_found_to_the_end(row: Make) -> None:
    text = f"{DASHES}BEGIN {KEY}{DASHES}\n{noise(80)}"
    treated, _ = treat(row("1", text=text), "mask")
    assert treated is not None and treated.text == "[SECRET]"


def test_of_many_first_lines_of_keys_each_goes_and_the_last_key_whole(row: Make) -> None:
    head, end = f"{DASHES}BEGIN {KEY}{DASHES}", f"{DASHES}END {KEY}{DASHES}"
    body = "x" * 11_000
    treated, changes = treat(row("1", text=f"{head}{body}{body}, {head} {head}{body}{end} stays"), "mask")
    assert treated is not None
    assert treated.text == "[SECRET]" + "x" * 10_000 + ", [SECRET] stays"
    assert changes == ["masked: private_key x2"]
