from pathlib import Path

import pytest
from typer.testing import CliRunner

from tunegate.cli import app
from tunegate.errors import InputError, UsageError


def test_a_backend_that_nobody_knows_is_a_wrong_command_line() -> None:
    error = CliRunner().invoke(app, ["image", "build", "--backend", "kaniko"]).exception
    assert isinstance(error, UsageError)
    assert (error.place, "'kaniko'" in error.problem) == ("--backend", True)


def test_without_a_package_nothing_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = tmp_path / "asked"
    (tmp_path / "docker").write_text(f'#!/bin/sh\necho "$1" >> {asked}\n')
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.chdir(tmp_path)
    error = CliRunner().invoke(app, ["image", "build", "--backend", "docker", "--tag", "helpdesk:1"]).exception
    assert isinstance(error, InputError)
    assert error.place.startswith("models/package")
    assert asked.read_text() == "info\n"
