import hashlib
from pathlib import Path

import pytest

from tunegate.errors import InputError
from tunegate.files import to_json
from tunegate.repository.lock import Locked
from tunegate.repository.outputs import open_outputs


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A DVC project without a stage, a remote or a git repository."""
    (tmp_path / "project/.dvc").mkdir(parents=True)
    (tmp_path / "project/.dvc/config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
    return tmp_path / "project"


def cached(project: Path, text: str, suffix: str = "") -> str:
    """The md5 of `text` as an object in the project's cache."""
    md5 = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest() + suffix
    file = project / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return md5


def folder(project: Path, *names: object, md5: object = None) -> Locked:
    """A folder whose listing names these files."""
    items = [{"relpath": name, "md5": md5 or cached(project, "words")} for name in names]
    return Locked("models/adapter", cached(project, to_json(items), ".dir"), 0)


def test_a_folder_and_a_file_are_placed_as_they_were_locked(project: Path) -> None:
    with open_outputs(project) as outputs:
        content = outputs.path_of(folder(project, "a.txt", "b/c.txt"))
        assert (content.name, (content / "b/c.txt").read_text()) == ("adapter", "words")
        assert outputs.path_of(Locked("models/x.txt", cached(project, "one"), 3)).read_text() == "one"
        assert list(outputs.path_of(folder(project)).iterdir()) == []


@pytest.mark.parametrize(
    "names",
    [
        ["../../../../victim.txt"],
        ["/tmp/victim.txt"],
        ["a/../../b"],
        ["a//b"],
        ["./a"],
        [""],
        ["a\0"],
        [None],
        [["a"]],
        ["a", "a"],
        ["a", "a/b"],
        ["a/b", "a"],
    ],
)
@pytest.mark.parametrize("links", [True, False])
def test_a_listing_that_leads_out_of_the_folder_writes_nothing(
    project: Path, names: list[object], links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: object) -> None:
        raise PermissionError

    if not links:
        monkeypatch.setattr("tunegate.repository.outputs.os.link", forbidden)
    victims = [project / "victim.txt", project.parent / "victim.txt"]
    for victim in victims:
        victim.write_text("mine")
    with open_outputs(project) as outputs:
        with pytest.raises(InputError, match="the listing of the folder"):
            outputs.path_of(folder(project, *names))
        assert [victim.read_text() for victim in victims] == ["mine", "mine"]
        assert "words" not in [file.read_text() for file in (project / ".tunegate").rglob("*") if file.is_file()]


@pytest.mark.parametrize("md5", ["../../../../secret", "/etc/passwd", "", 7, "0" * 31, "0" * 32 + ".dir"])
def test_a_listing_with_a_hash_that_is_none_is_an_error(project: Path, md5: object) -> None:
    (project / "secret").write_text("mine")
    items = [{"relpath": "a.txt", "md5": md5}]
    locked = Locked("models/adapter", cached(project, to_json(items), ".dir"), 0)
    with open_outputs(project) as outputs, pytest.raises(InputError, match=r"a\.txt: .* is not an md5"):
        outputs.path_of(locked)


@pytest.mark.parametrize("text", ["{}", '["a"]', "7", "{not json"])
def test_a_listing_that_is_no_list_of_files_is_an_error(project: Path, text: str) -> None:
    with open_outputs(project) as outputs, pytest.raises(InputError):
        outputs.path_of(Locked("models/adapter", cached(project, text, ".dir"), 0))


@pytest.mark.parametrize("md5", ["../../../../secret", "..", "None", "", "A" * 32])
def test_a_hash_from_anywhere_is_looked_at_before_it_is_a_path(project: Path, md5: str) -> None:
    (project / "secret").write_text("mine")
    with open_outputs(project) as outputs:
        with pytest.raises(InputError, match="is not an md5"):
            outputs.path_of(Locked("models/adapter", md5, 0))
        with pytest.raises(InputError, match="is not an md5"):
            outputs.cached(Locked("models/adapter", md5, 0))


@pytest.mark.parametrize("path", ["..", "models/..", "/", "", "."])
def test_the_name_of_a_copy_is_a_name(project: Path, path: str) -> None:
    with open_outputs(project) as outputs, pytest.raises(InputError, match="not a path inside the project"):
        outputs.path_of(Locked(path, cached(project, "words"), 0))


def test_a_copy_that_was_cut_off_is_not_taken_for_the_whole(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    locked = folder(project, "a.txt", "b.txt")
    placed: list[object] = []

    def full(_source: object, target: Path) -> None:
        placed.append(target)
        target.write_text("half")
        raise OSError(28, "No space left on device")

    with open_outputs(project) as outputs:
        with monkeypatch.context() as broken:
            broken.setattr("tunegate.repository.outputs._link", full)
            for _ in range(2):
                with pytest.raises(OSError, match="No space"):
                    outputs.path_of(locked)
        assert len(placed) == 2
        assert sorted(file.read_text() for file in outputs.path_of(locked).iterdir()) == ["words", "words"]


def test_a_folder_without_dvc_is_told_so(tmp_path: Path) -> None:
    with open_outputs(tmp_path) as outputs, pytest.raises(InputError, match="not a DVC project"):
        outputs.path_of(Locked("a", "0" * 32, 0))
