import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tunegate.errors import InputError, RefusedError
from tunegate.files import sha256_of, write_json, write_text
from tunegate.params import Reinforce, Reward, Train
from tunegate.training.techniques.rewards import Answer, Rewards, files_of

CODE = """
import os, random, time
import numpy as np

def length(answer, row):
    print("said by the function")
    return len(answer) / 10

def same(answer, row):
    return answer == row["reference"] and row["slices"]["language"] == "en"

def chance(answer, row):
    return random.random()

def secret(answer, row):
    return "TOKEN_OF_THE_FIRM" in os.environ

def stuck(answer, row):
    while True:
        pass

def asleep(answer, row):
    time.sleep(60)

def nothing(answer, row):
    return float("nan")

def text(answer, row):
    return "1.0"

def vast(answer, row):
    return 10**400

def single(answer, row):
    return np.float32(0.5) if answer == "scalar" else np.array(0.25)

def several(answer, row):
    return np.ones(2) * [1, 2]

def peek(answer, row):
    process, found = os.getppid(), b""
    while process > 1:
        try:
            found += open(f"/proc/{process}/environ", "rb").read()
        except OSError:
            pass
        process = int(open(f"/proc/{process}/stat").read().rpartition(")")[2].split()[1])
    return b"TOKEN_OF_THE_FIRM" in found

def wrong(answer, row):
    raise KeyError("no such desk")

def gone(answer, row):
    os._exit(3)
"""


@pytest.fixture(autouse=True)
def in_a_repository_with_rewards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_text(Path("rewards/answers.py"), CODE)
    schema = {"type": "object", "required": ["desk"], "properties": {"desk": {"enum": ["roof", "heat"]}}}
    write_json(Path("rewards/desk.json"), schema)


def answer(text: str, reference: str | None = "roof", row: str = "r1") -> Answer:
    return Answer(row, text, reference, "the roof leaks", {"source": "desks", "language": "en"})


def python(name: str, **more: Any) -> Reward:
    return Reward(kind="python", function=f"rewards/answers.py:{name}", **more)


def values(reward: Reward, *texts: str) -> list[float]:
    return [value for (value,) in Rewards([reward])([answer(text) for text in texts])]


def test_an_exact_match_is_the_rows_answer_but_for_white_space() -> None:
    assert values(Reward(kind="exact_match"), "roof", " roof\n", "Roof", "roof leak", "") == [1, 1, 0, 0, 0]


def test_without_an_answer_of_the_row_nothing_matches_exactly() -> None:
    with pytest.raises(InputError, match="no answer to compare with") as caught:
        Rewards([Reward(kind="exact_match")])([answer("roof", None)])
    assert caught.value.place == "row r1"


def test_a_pattern_must_match_the_whole_answer() -> None:
    assert values(Reward(kind="regex", pattern="[a-z]+ \\d"), "room 7", "the room 7", "room 77") == [1, 0, 0]


def test_a_schema_judges_json_and_nothing_else() -> None:
    reward = Reward(kind="json_schema", schema_file="rewards/desk.json")
    texts = ('{"desk": "roof"}', '{"desk": "noise"}', "{}", "roof", '{"desk": NaN}', "", "[" * 3000)
    assert values(reward, *texts) == [1, 0, 0, 0, 0, 0, 0]


def test_a_schema_is_not_fetched_from_elsewhere() -> None:
    write_json(Path("rewards/far.json"), {"$ref": "http://127.0.0.1:9/schema.json"})
    with pytest.raises(RefusedError, match=r"raised .*Unresolvable"):
        values(Reward(kind="json_schema", schema_file="rewards/far.json"), "{}")


def test_a_function_is_called_with_the_answer_and_the_row() -> None:
    assert values(python("length"), "roof", "") == [0.4, 0]
    assert values(python("same"), "roof", "heat") == [1, 0]


def test_a_function_gives_the_same_answer_the_same_value() -> None:
    assert values(python("chance"), "a", "a") == values(python("chance"), "a", "a")


def test_a_function_sees_no_secret_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_OF_THE_FIRM", "s3cret")
    assert values(python("secret"), "a") == [0]


def test_a_function_cannot_read_the_environment_that_its_ancestors_were_started_with() -> None:
    allowed = "import ctypes, sys; sys.exit(ctypes.CDLL(None).unshare(0x10000000) != 0)"
    if subprocess.run([sys.executable, "-c", allowed], check=False).returncode:
        pytest.skip("this kernel gives no user namespace to a process")
    asks = (
        "from tunegate.params import Reward\n"
        "from tunegate.training.techniques.rewards import Answer, Rewards\n"
        "reward = Reward(kind='python', function='rewards/answers.py:peek')\n"
        "print(Rewards([reward])([Answer('r', 'a', None, '', {})]))"
    )
    environment = os.environ | {"TOKEN_OF_THE_FIRM": "s3cret"}
    done = subprocess.run(
        [sys.executable, "-c", asks], check=True, capture_output=True, text=True, timeout=120, env=environment
    )
    assert done.stdout.strip() == "[(0.0,)]"


def test_numbers_of_every_library_are_numbers() -> None:
    assert values(python("single"), "scalar", "array") == [0.5, 0.25]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("nothing", "rewards/answers.py:nothing returned nan"),
        ("text", "rewards/answers.py:text returned '1.0', which is not finite"),
        ("vast", "rewards/answers.py:vast returned 1000"),
        ("several", "rewards/answers.py:several returned array([1., 2.]), which is not finite"),
        ("wrong", "rewards/answers.py:wrong raised KeyError: 'no such desk'"),
        ("gone", "rewards/answers.py:gone ended its process with code 3"),
    ],
)
def test_a_function_that_gives_no_finite_number_is_refused_with_the_row(name: str, problem: str) -> None:
    with pytest.raises(RefusedError) as caught:
        values(python(name), "roof")
    assert problem in caught.value.problem
    assert caught.value.place == "row r1"


@pytest.mark.parametrize("name", ["stuck", "asleep"])
def test_a_function_that_hangs_is_killed_and_refused(name: str) -> None:
    rewards = Rewards([python(name, timeout_seconds=0.2)])
    with pytest.raises(RefusedError, match=f"{name} took longer than 0.2 seconds") as caught:
        rewards([answer("roof", row="r7")])
    assert caught.value.place == "row r7"
    assert "timeout_seconds" in caught.value.remedy


def test_a_pattern_that_takes_forever_is_killed_and_refused() -> None:
    reward = Reward(kind="regex", pattern="(a+)+b", timeout_seconds=0.2)
    with pytest.raises(RefusedError, match=r"regex .* took longer than 0\.2 seconds"):
        values(reward, "a" * 60)


@pytest.mark.parametrize(
    ("reward", "problem"),
    [
        ({"kind": "regex", "pattern": "(a"}, "(a cannot be used: "),
        ({"kind": "json_schema", "schema_file": "rewards/none.json"}, "no file rewards/none.json"),
        ({"kind": "python", "function": "rewards/answers.py"}, "must be <path>:<function>"),
        ({"kind": "python", "function": "rewards/answers.py:none"}, "has no function 'none'"),
    ],
)
def test_a_reward_that_cannot_run_is_refused_before_anything_is_trained(reward: dict[str, Any], problem: str) -> None:
    with pytest.raises(InputError) as caught:
        Rewards([Reward(kind="exact_match"), Reward(**reward)])
    assert problem in caught.value.problem
    assert caught.value.place.startswith("params.yaml: train.reinforce.rewards[1]")


def test_a_schema_that_is_none_is_refused() -> None:
    write_json(Path("rewards/desk.json"), {"type": "objekt"})
    with pytest.raises(InputError, match=r"rewards/desk\.json cannot be used: SchemaError"):
        Rewards([Reward(kind="json_schema", schema_file="rewards/desk.json")])


def test_several_rewards_have_names_and_a_weighted_sum() -> None:
    patterns = [Reward(kind="regex", pattern=text, weight=2.0) for text in ("roof", "r.*")]
    rewards = Rewards([*patterns, python("length")])
    assert rewards.names == ("reward_regex_1", "reward_regex_2", "reward_length")
    (found,) = rewards([answer("roof")])
    assert found == pytest.approx((1, 1, 0.4))
    assert rewards.total(found) == pytest.approx(4.4)


def test_training_depends_on_what_is_in_the_files_of_rewards() -> None:
    named = (python("length"), Reward(kind="json_schema", schema_file="rewards/desk.json"), Reward(kind="exact_match"))
    settings = Train(technique="reinforce", reinforce=Reinforce(rewards=named))
    before = files_of(settings, Path("rewards"))
    assert before == {name: sha256_of(Path(name)) for name in ("rewards/answers.py", "rewards/desk.json")}
    write_text(Path("rewards/answers.py"), CODE + "\n")
    assert files_of(settings, Path("rewards")) != before
    assert not files_of(Train(), Path("rewards"))


@pytest.mark.parametrize("named", ["other.py", "rewards/../other.py", "rewards/link.py"])
def test_a_file_of_a_reward_outside_of_the_folder_is_refused(named: str) -> None:
    write_text(Path("other.py"), CODE)
    Path("rewards/link.py").symlink_to(Path("other.py").resolve())
    rewards = (Reward(kind="python", function=f"{named}:length"),)
    with pytest.raises(InputError, match="is not in rewards/"):
        files_of(Train(technique="reinforce", reinforce=Reinforce(rewards=rewards)), Path("rewards"))
