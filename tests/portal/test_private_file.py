"""Shared keys and passwords come from files that nobody else may read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.portal.private_file import read_shared_key, read_user_passwords


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "secret"


def write(path: Path, content: str | bytes, mode: int = 0o600) -> str:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(mode)
    return str(path)


@pytest.mark.parametrize("content", ["turbine blåde", "turbine blåde\n", "turbine blåde\r\nand more\n"])
def test_the_shared_key_is_the_first_line_of_its_file(content: str, path: Path) -> None:
    assert read_shared_key(write(path, content)) == "turbine blåde"


def test_an_empty_first_line_is_no_shared_key(path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        read_shared_key(write(path, "\nkey\n"))
    assert str(caught.value) == f"{path} holds no shared key: its first line is empty."


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o602, 0o644])
def test_a_file_that_others_may_open_is_refused_with_how_to_close_it(mode: int, path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        read_shared_key(write(path, "key", mode))
    assert str(caught.value) == (
        f"The shared key file {path} is open to other users: make it private with: chmod 600 {path}"
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize(
    ("owner", "mode", "problem"),
    [
        (0, 0o440, ""),
        (0, 0o640, ""),
        (0, 0o644, "is open to other users"),
        (0, 0o660, "is open to other users"),
        (1234, 0o600, "belongs to another user, who could change it: make it yours, or root's."),
    ],
)
def test_a_file_of_roots_may_be_for_a_group_and_one_of_another_user_is_refused(
    owner: int, mode: int, problem: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = write(path, "key", mode)
    os.chown(path, owner, 0)
    monkeypatch.setattr(os, "geteuid", lambda: 4321)
    if problem:
        with pytest.raises(BadInput, match=problem):
            read_shared_key(name)
    else:
        assert read_shared_key(name) == "key"


def test_a_file_that_is_not_there_or_no_text_is_named(path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        read_shared_key(str(path))
    assert str(caught.value) == f"The shared key file {path} cannot be read: no such file or directory."
    with pytest.raises(BadInput) as caught:
        read_user_passwords(write(path, b"ada:\xff"))
    assert str(caught.value) == f"The users file {path} cannot be read: it is not text in UTF-8."


def test_users_and_passwords_are_lines_with_a_colon(path: Path) -> None:
    text = "# who may send\nada:correct: horse \n\n  \nbo b:#1\n"
    assert read_user_passwords(write(path, text)) == {"ada": "correct: horse ", "bo b": "#1"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("ada:x\nbob\n", ", line 2, is no user and password: write NAME:PASSWORD."),
        (":x\n", ", line 1, is no user and password: write NAME:PASSWORD."),
        ("ada:\n", ", line 1, is no user and password: write NAME:PASSWORD."),
        ("ada:x\n#\nada:y\n", ", line 3: the user 'ada' is in the file already."),
        ("# nobody\n", " names no user: write a line NAME:PASSWORD for each."),
    ],
)
def test_what_is_wrong_with_a_users_file_is_named_with_its_line(text: str, problem: str, path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        read_user_passwords(write(path, text))
    assert str(caught.value) == f"{path}{problem}"
    assert "x" not in str(caught.value).removeprefix(str(path))
