"""Of the room as a whole: the examples of docs/search.md, and that the page knows what the code does."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tunegate.experiments.declaration import REMEDY, Search, axis_of
from tunegate.experiments.sampling import RANDOM_TRIALS
from tunegate.experiments.search_results import TRIALS_FOR_IMPORTANCE
from tunegate.experiments.space import require_known_keys
from tunegate.files import parse_yaml
from tunegate.params import parse

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/search.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"(?ms)^```bash command\n(.*?)^```$", PAGE)


def test_the_pages_search_file_is_one_over_keys_that_there_are() -> None:
    (text,) = re.findall(r"(?ms)^```yaml search.yaml\n(.*?)^```$", PAGE)
    search = parse(Search, parse_yaml(text, place="docs/search.md"), place="docs/search.md", remedy=REMEDY)
    require_known_keys((ROOT / "params.yaml").read_text(encoding="utf-8"), search)
    assert search.space["train.epochs"].whole


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_has_only_options_that_there_are(command: str) -> None:
    words = shlex.split(command)
    options = [word for word in words if word.startswith("--")]
    verbs = words[1 : 3 if words[1] == "runs" else 2]
    done = subprocess.run(
        [sys.executable, "-m", "tunegate.cli", *verbs, "--help"], capture_output=True, text=True, check=True
    )
    assert [option for option in options if option not in done.stdout] == []
    for text in (word for word in words if "=" in word):
        assert axis_of(text)


def test_the_page_names_every_key_and_the_numbers_that_the_code_has() -> None:
    assert len(COMMANDS) == 3
    assert [key for key in Search.model_fields if f"| `{key}` |" not in PAGE] == []
    assert (RANDOM_TRIALS, TRIALS_FOR_IMPORTANCE) == (5, 6)
    assert "the first five are random" in PAGE
    assert "from six completed trials on" in PAGE
