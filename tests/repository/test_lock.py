import pytest

from tunegate.errors import InputError
from tunegate.files import to_json
from tunegate.repository.lock import is_inside, parse_lock

MD5 = "0123456789abcdef" * 2


def lock_with(**items: object) -> str:
    """The text of a lock with one stage; JSON is YAML."""
    return to_json({"schema": "2.0", "stages": {"train": {"cmd": "true", **items}}})


@pytest.mark.parametrize("md5", [MD5, f"{MD5}.dir"])
def test_the_hash_of_a_file_or_a_folder_is_read(md5: str) -> None:
    lock = parse_lock(lock_with(outs=[{"path": "models/adapter", "md5": md5, "size": 3}]), place="dvc.lock")
    assert lock["train"].outs["models/adapter"].md5 == md5


@pytest.mark.parametrize("kind", ["deps", "outs"])
@pytest.mark.parametrize(
    "md5", ["../../models", "", MD5.upper(), MD5[1:], f"{MD5}0", f"{MD5}\n", f"{MD5}.dir.dir", f"/{MD5}", None, 7]
)
def test_a_hash_that_is_none_is_an_error_that_names_stage_path_and_value(kind: str, md5: object) -> None:
    with pytest.raises(InputError) as caught:
        parse_lock(lock_with(**{kind: [{"path": "a/b", "md5": md5}]}), place="1234:dvc.lock")
    assert (caught.value.place, caught.value.problem) == ("1234:dvc.lock: train", f"a/b: {md5!r} is not an md5")


@pytest.mark.parametrize("path", ["", "/etc/passwd", "..", "../b", "a/../b", "a//b", "./a", "a/", "a\0b", "a\nb"])
def test_an_output_outside_of_the_project_is_an_error(path: str) -> None:
    with pytest.raises(InputError, match="is not a path inside the project"):
        parse_lock(lock_with(outs=[{"path": path, "md5": MD5}]), place="dvc.lock")
    assert not is_inside(path)


@pytest.mark.parametrize(
    ("items", "problem"),
    [
        ({"deps": None}, "deps: not a list"),
        ({"outs": {"path": "a"}}, "outs: not a list"),
        ({"outs": [{"path": "a", "md5": MD5}, {"path": "a", "md5": "f" * 32}]}, "outs: a path is listed twice"),
        ({"outs": [{"path": "a", "md5": MD5, "size": "many"}]}, "a: 'many' is not a size"),
    ],
)
def test_what_dvc_would_never_write_is_an_error(items: dict[str, object], problem: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_lock(lock_with(**items), place="dvc.lock")
    assert caught.value.problem == problem
