import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tunegate import files
from tunegate.errors import InputError
from tunegate.files import number_at, text_at, value_at


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file.yaml"


def fault(file: Path, content: str | bytes) -> str:
    """What read_yaml says of a file with that content, with the folder left out."""
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(InputError) as caught:
        files.read_yaml(file)
    return str(caught.value).replace(f"{file.parent}/", "")


@pytest.mark.parametrize(
    ("text", "key", "new", "old"),
    [
        ("a:\n  rate: 1e-4\n", "file.yaml:2", "the number 1e-4", "the text '1e-4'"),
        ("country: no\n", "country", "'no'", "False"),
        ("on_error: [yes, stop]\n", "on_error[0]", "'yes'", "True"),
        ("mode: 012\n", "mode", "12", "10"),
        ("time: 12:30\n", "time", "'12:30'", "750"),
        ("y: 1\n", "file.yaml", "'y'", "True"),
        ("mask: 0o14\n", "mask", "12", "'0o14'"),
    ],
)
def test_a_value_that_yaml_1_1_and_1_2_read_differently_is_refused(
    file: Path, text: str, key: str, new: str, old: str
) -> None:
    message = fault(file, text)
    assert key in message
    assert "ambiguous value" in message
    assert f"{new}" in message
    assert f"{old}" in message


@pytest.mark.parametrize(
    "text", ['a: "no"\n', "a: 0.0001\n", "a: [1, two, true, null]\n", "a: 1.0e-4\n", "a: '12:30'\n"]
)
def test_a_value_that_both_read_alike_is_accepted(file: Path, text: str) -> None:
    file.write_text(text)
    assert "a" in files.read_yaml(file)


def test_a_duplicate_key_is_refused_with_its_line(file: Path) -> None:
    message = fault(file, "seed: 1\nrank: 2\nseed: 3\n")
    assert message.startswith("error: file.yaml:3: ")
    assert "duplicate key" in message


def test_bad_syntax_is_refused_with_its_line(file: Path) -> None:
    assert fault(file, "a: 1\nb: [1, 2\nc: 3\n").startswith("error: file.yaml:")
    assert fault(file, "a: 1\n\tb: 2\n").startswith("error: file.yaml:2: ")


def test_a_control_character_is_refused(file: Path) -> None:
    assert fault(file, "a: \x07\n").startswith("error: file.yaml")


def test_a_python_object_in_yaml_is_refused(file: Path) -> None:
    assert fault(file, "a: !!python/object/apply:os.system ['true']\n").startswith("error: file.yaml:1: ")


def test_a_file_that_is_not_utf_8_is_refused_with_the_offset(file: Path) -> None:
    assert fault(file, "name: Malmö\n".encode("latin-1")).startswith(
        "error: file.yaml: not UTF-8: byte 0xf6 at offset 10"
    )


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    for read in (files.read_yaml, files.read_json, files.read_text):
        with pytest.raises(InputError, match="no such file"):
            read(tmp_path / "absent")


def test_yaml_comes_back_as_it_was_written(file: Path) -> None:
    value = {
        "b": [1, "no", None, True],
        "a": {
            "rate": 0.0001,
            "text": "12:30 ~ å",
            "y": ["12:30", "0o14", "1e-4", "", " x", "#a: b", "Off", "a\nb", "2024-01-01"],
        },
    }
    files.write_yaml(file, value)
    assert files.read_yaml(file) == value
    assert file.read_text().startswith("b:"), "keys keep their order"


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_is_not_finite_is_refused_with_its_key(tmp_path: Path, number: float) -> None:
    with pytest.raises(InputError) as caught:
        files.write_json(tmp_path / "m.json", {"tuned": [{"f1": 0.5}, {"f1": number}]})
    assert caught.value.place == "tuned[1].f1"
    assert list(tmp_path.iterdir()) == []


def test_equal_json_is_written_as_equal_bytes(tmp_path: Path) -> None:
    files.write_json(tmp_path / "a", {"b": 1, "a": "å"})
    files.write_json(tmp_path / "b", {"a": "å", "b": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() == '{\n  "a": "å",\n  "b": 1\n}\n'.encode()


def test_cut_json_is_refused_with_line_and_column(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text('{"a": 1,\n "b": ')
    with pytest.raises(InputError, match="not valid JSON") as caught:
        files.read_json(tmp_path / "m.json")
    assert caught.value.place.endswith("m.json:2:7")


@pytest.mark.parametrize(
    ("text", "place"), [('{"a": 1}\n{"a": \n', "rows.jsonl:2:"), ('{"a": 1}\n\n[1]\n', "rows.jsonl:3")]
)
def test_a_bad_line_is_refused_with_its_number(tmp_path: Path, text: str, place: str) -> None:
    (tmp_path / "rows.jsonl").write_text(text)
    with pytest.raises(InputError) as caught:
        list(files.read_jsonl(tmp_path / "rows.jsonl"))
    assert place in caught.value.place


def test_lines_of_jsonl_keep_separators_that_are_not_newlines(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(
        '{"a": "one\u2028two\x85three"}\r\n{"a": "four"}', encoding="utf-8", newline=""
    )
    rows = list(files.read_jsonl(tmp_path / "rows.jsonl"))
    assert rows == [(1, {"a": "one\u2028two\x85three"}), (2, {"a": "four"})]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    files.write_text(path, "old")
    with pytest.raises(RuntimeError), files.atomic_file(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_folder(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    with files.atomic_folder(path) as temporary:
        (temporary / "a").write_text("old")
    with pytest.raises(RuntimeError), files.atomic_folder(path) as temporary:
        (temporary / "b").write_text("half")
        raise RuntimeError
    assert [file.name for file in files.files_below(path)] == ["a"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    for name in ("a", "b"):
        with files.atomic_folder(path) as temporary:
            (temporary / "deep").mkdir()
            (temporary / "deep" / name).write_text(name)
    assert [file.name for file in files.files_below(path)] == ["b"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_process_killed_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    files.write_text(path, "old")
    code = f"""
import os, signal
from pathlib import Path
from tunegate.files import atomic_file
with atomic_file(Path({str(path)!r})) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    assert all(other.name.endswith(".part") for other in tmp_path.iterdir() if other != path), (
        "git and DVC ignore those"
    )


def test_a_written_file_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    files.write_text(tmp_path / "ours", "x")
    (tmp_path / "theirs").write_text("x")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "theirs").stat().st_mode


def test_a_hash_of_a_tree_sees_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    first = files.sha256_of_tree(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    renamed = files.sha256_of_tree(tmp_path)
    (tmp_path / "b").write_text("y")
    assert len({first, renamed, files.sha256_of_tree(tmp_path)}) == 3


def test_a_value_in_nested_objects_is_found_or_named_in_the_error() -> None:
    nested = {"a": {"b": 1, "c": "x", "d": float("nan")}}
    assert (value_at(nested, "a", "c"), value_at(nested, "a", "c", "x"), value_at([], "a")) == ("x", None, None)
    assert number_at(nested, "", "a", "b") == 1.0
    assert text_at(nested, "", "a", "c") == "x"
    for bad in ("c", "d", "e"):
        with pytest.raises(InputError, match=rf"a\.{bad} is not finite"):
            number_at(nested, "here", "a", bad)
    with pytest.raises(InputError, match=r"a\.b is not text \(got 1\)") as caught:
        text_at(nested, "here", "a", "b", remedy="do")
    assert (caught.value.place, caught.value.remedy) == ("here", "do")
