import json
import os
import subprocess
import sys

from tunegate.data.preparation.personal_data.key import fingerprint

KEY = "k" * 40


def run(*arguments: str, key: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TUNEGATE_PSEUDONYM_KEY": key}
    command = [sys.executable, "-m", "tunegate.cli", "data", "key", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_fingerprint_of_the_key_in_the_environment_is_printed_and_not_the_key() -> None:
    done = run(key=KEY)
    assert (done.returncode, done.stdout) == (0, f"{fingerprint(KEY.encode())}\n")
    assert KEY not in done.stderr


def test_a_new_key_comes_with_its_fingerprint() -> None:
    shown = json.loads(run("--new", "--json").stdout)
    assert fingerprint(shown["key"].encode()) == shown["fingerprint"]
    text = run("--new").stdout
    assert "TUNEGATE_PSEUDONYM_KEY=" in text
    assert "prepare.personal_data.key" in text


def test_without_a_key_the_variable_is_named() -> None:
    done = run()
    assert done.returncode == 1
    assert done.stderr.startswith("error: environment: TUNEGATE_PSEUDONYM_KEY: not set\nfix: ")
