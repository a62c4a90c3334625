from pathlib import Path

import pytest
from miniature import Miniature

from tunegate.errors import InputError, MachineError
from tunegate.files import files_below
from tunegate.repository.transfer import SETTINGS, fetch_runs, push_runs, write_settings

TEXT = "[core]\n    remote = store\n['remote \"store\"']\n    url = {url}"


def settings(url: Path | str) -> dict[str, str]:
    return {SETTINGS: TEXT.format(url=url)}


def test_settings_from_a_secret_are_what_dvc_reads_and_git_ignores(miniature: Miniature, tmp_path: Path) -> None:
    assert write_settings(miniature.root, settings(tmp_path / "remote"))
    assert miniature.run("dvc", "remote", "list", cwd=miniature.root).split() == [
        "store",
        str(tmp_path / "remote"),
        "(default)",
    ]
    assert miniature.git("status", "--porcelain") == ""
    assert (miniature.root / ".dvc/config.local").stat().st_mode & 0o077 == 0
    assert write_settings(miniature.root, settings(tmp_path / "other")), "a secret that was renewed"
    assert "other" in miniature.run("dvc", "remote", "list", cwd=miniature.root)


@pytest.mark.parametrize("environment", [{}, {SETTINGS: " \n"}])
def test_without_the_secret_nothing_is_written(miniature: Miniature, environment: dict[str, str]) -> None:
    assert not write_settings(miniature.root, environment)
    assert not (miniature.root / ".dvc/config.local").exists()


def test_settings_of_a_person_are_not_overwritten(miniature: Miniature, tmp_path: Path) -> None:
    (miniature.root / ".dvc/config.local").write_text("[core]\n    verbose = true\n")
    with pytest.raises(InputError, match="this clone has settings of its own"):
        write_settings(miniature.root, settings(tmp_path))


def test_a_secret_that_is_no_configuration_is_an_error_that_does_not_show_it(miniature: Miniature) -> None:
    with pytest.raises(InputError, match="line 2 of it is not in DVC's format") as caught:
        write_settings(miniature.root, {SETTINGS: "[core]\ns3cret without a key"})
    assert "s3cret" not in str(caught.value)


def test_runs_travel_by_the_remote(miniature: Miniature, tmp_path: Path) -> None:
    write_settings(miniature.root, settings(tmp_path / "remote"))
    runs = miniature.root / ".dvc/cache/runs"
    before = [path.relative_to(runs) for path in files_below(runs)]
    assert push_runs(miniature.root) > len(before)
    miniature.run("rm", "-rf", str(runs), cwd=miniature.root)
    assert fetch_runs(miniature.root) == len(before)
    assert [path.relative_to(runs) for path in files_below(runs)] == before


def test_without_a_remote_there_is_nothing_to_fetch_and_nowhere_to_push(miniature: Miniature) -> None:
    assert fetch_runs(miniature.root) == 0
    with pytest.raises(InputError, match="no DVC remote to push to"):
        push_runs(miniature.root)


def test_a_remote_that_does_not_take_them_is_an_error_after_some_tries(
    miniature: Miniature, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("tunegate.repository.remote.sleep", pauses.append)
    (tmp_path / "file").write_text("")
    write_settings(miniature.root, settings(tmp_path / "file" / "remote"))
    with pytest.raises(MachineError, match="the DVC remote does not answer, 3 times"):
        push_runs(miniature.root)
    assert pauses == [2, 4]
