"""The scripts behind `make`: they find a Python, leave alone what is up to date, and name what is missing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BASE_PATH = "/usr/bin:/bin"


def run(script: str, environment: Mapping[str, str], root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run one of tools/ with nothing in its environment but what is given."""
    return subprocess.run(
        [root / "tools" / script], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def program(path: Path, text: str) -> Path:
    """Write a shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def python(path: Path, version: str = "3, 10", implementation: str = "cpython") -> Path:
    """A stand-in for a Python of that version: answers what tools/find-python asks of one."""
    return program(
        path,
        f"""exec {sys.executable} -c 'import sys
class fake: pass
fake.implementation = type("", (), dict(name="{implementation}"))
fake.version_info, fake.executable, fake.exit = ({version}, 0), "{path}", sys.exit
sys.modules["sys"] = fake
exec(sys.argv[1])' "$2" """,
    )


def test_the_python_of_the_environment_variable_is_taken_first(tmp_path: Path) -> None:
    chosen = python(tmp_path / "chosen" / "python")
    python(tmp_path / "bin" / "python3.10")
    done = run("find-python", {"PYTHON": str(chosen), "PATH": f"{tmp_path}/bin:{BASE_PATH}", "HOME": str(tmp_path)})
    assert done.stdout == f"{chosen}\n"


def test_a_python_of_another_version_is_passed_over_with_a_word(tmp_path: Path) -> None:
    later = python(tmp_path / "python", "3, 11")
    found = python(tmp_path / "bin" / "python3.10")
    done = run("find-python", {"PYTHON": str(later), "PATH": f"{tmp_path}/bin:{BASE_PATH}", "HOME": str(tmp_path)})
    assert done.stdout == f"{found}\n"
    assert done.stderr == f"PYTHON={later} is no CPython 3.10 that runs here: looking for another.\n"


def test_another_implementation_is_passed_over(tmp_path: Path) -> None:
    python(tmp_path / "bin" / "python3.10", implementation="pypy")
    found = python(tmp_path / ".pyenv" / "versions" / "3.10.4" / "bin" / "python3.10")
    done = run("find-python", {"PATH": f"{tmp_path}/bin:{BASE_PATH}", "HOME": str(tmp_path)})
    assert done.stdout == f"{found}\n"


@pytest.mark.parametrize("variable", ["HOME", "PYENV_ROOT"])
def test_pyenvs_versions_are_found_behind_a_shim_that_fails(variable: str, tmp_path: Path) -> None:
    program(tmp_path / "shims" / "python3.10", "echo 'pyenv: python3.10: command not found' >&2; exit 127")
    root = tmp_path / (".pyenv" if variable == "HOME" else "")
    found = python(root / "versions" / "3.10.13" / "bin" / "python3.10")
    python(root / "versions" / "3.11.7" / "bin" / "python3.11", "3, 11")
    home = tmp_path if variable == "HOME" else tmp_path / "elsewhere"
    done = run(
        "find-python",
        {"PATH": f"{tmp_path}/shims:{BASE_PATH}", "HOME": str(home)}
        | ({"PYENV_ROOT": str(root)} if variable == "PYENV_ROOT" else {}),
    )
    assert (done.returncode, done.stdout) == (0, f"{found}\n")


def test_where_there_is_none_it_fails(tmp_path: Path) -> None:
    if any((Path(folder) / "python3.10").exists() for folder in BASE_PATH.split(":")):
        pytest.skip("this system has a python3.10 of its own in /usr/bin")
    done = run("find-python", {"PATH": BASE_PATH, "HOME": str(tmp_path)})
    assert (done.returncode, done.stdout) == (1, "")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy of the files that the environment is made from."""
    root = tmp_path / "clone"
    for name in ("tools", "requirements"):
        shutil.copytree(ROOT / name, root / name)
    (root / "ebulk").mkdir()
    for name in ("pyproject.toml", "ebulk/pyproject.toml"):
        shutil.copy(ROOT / name, root / name)
    return root


def stand_in_for_uv(root: Path) -> None:
    """Write down what uv is asked, instead of installing packages."""
    program(root / "build" / "uv" / "bin" / "uv", f'echo "$@" >> {root}/asked; [ "$1" != venv ] || mkdir .venv')
    shutil.copy(root / "requirements" / "uv.lock", root / "build" / "uv" / "installed.lock")


def test_an_environment_is_made_once_and_again_when_what_it_is_made_from_changes(clone: Path, tmp_path: Path) -> None:
    stand_in_for_uv(clone)
    chosen = python(tmp_path / "python3.10")
    environment = {"PYTHON": str(chosen), "PATH": BASE_PATH, "HOME": str(tmp_path)}
    asked = clone / "asked"

    done = run("make-environment", environment, clone)
    assert (done.returncode, done.stdout) == (
        0,
        f"Making the environment .venv, which takes a minute or two\nwith {chosen}\n",
    ), done.stderr
    requests = asked.read_text().splitlines()
    assert requests[0] == f"venv --quiet --python {chosen} .venv"
    assert "--require-hashes --build-constraints requirements/build.lock" in requests[1]
    assert requests[2].endswith("--config-settings editable_mode=compat --editable . --editable ./ebulk")
    assert {link.name: os.readlink(link) for link in (clone / "bin").iterdir()} == {
        "ebulk": "../.venv/bin/ebulk",
        "wendelin": "../.venv/bin/wendelin",
    }

    asked.unlink()
    assert run("make-environment", environment, clone).stdout == ""
    assert not asked.exists()

    with (clone / "requirements" / "environment.lock").open("a") as lock:
        lock.write("# changed\n")
    assert run("make-environment", environment, clone).stdout.startswith("Making")
    assert asked.exists()


def test_without_a_python_and_without_one_to_fetch_it_is_said_what_to_install(clone: Path, tmp_path: Path) -> None:
    if any((Path(folder) / "python3.10").exists() for folder in BASE_PATH.split(":")):
        pytest.skip("this system has a python3.10 of its own in /usr/bin")
    program(clone / "build" / "uv" / "bin" / "uv", "exit 1")
    shutil.copy(clone / "requirements" / "uv.lock", clone / "build" / "uv" / "installed.lock")
    done = run("make-environment", {"PATH": BASE_PATH, "HOME": str(tmp_path)}, clone)
    assert done.returncode == 1
    assert "The server needs CPython 3.10, which could be neither found nor fetched." in done.stderr
    assert "pyenv install 3.10" in done.stderr
    assert not (clone / ".venv").exists()


def test_a_lake_is_made_at_the_first_start_and_served_at_every(clone: Path) -> None:
    program(
        clone / "bin" / "wendelin",
        """echo "$@"
[ "$1" != init ] || { mkdir -p "$2/etc"; touch "$2/etc/zope.conf" "$2/etc/admin-password"; }""",
    )
    environment = {"PATH": BASE_PATH}
    assert run("start", environment, clone).stdout == "init var/lake\nserve var/lake --listen 127.0.0.1:8080\n"
    assert run("start", {**environment, "LISTEN": "127.0.0.1:80"}, clone).stdout == (
        "The password of admin is in var/lake/etc/admin-password\nserve var/lake --listen 127.0.0.1:80\n"
    )
    (clone / "var/lake/etc/admin-password").unlink()
    assert run("start", environment, clone).stdout == "serve var/lake --listen 127.0.0.1:8080\n"


def bare_machine(tmp_path: Path, user: int) -> dict[str, str]:
    """The environment of a machine without any of the packages, where apt-get only says what it was asked."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "cut", "tr", "cat"):
        (tools / name).symlink_to(shutil.which(name))
    program(tools / "id", f"echo {user}")
    program(tools / "apt-get", f'echo "$@" >> {tmp_path}/asked')
    return {"PATH": str(tools)}


def test_as_root_on_debian_missing_packages_are_installed(tmp_path: Path) -> None:
    done = run("install-debian-packages", bare_machine(tmp_path, user=0))
    assert done.returncode == 0
    update, install = (tmp_path / "asked").read_text().splitlines()
    assert update == "-qq update"
    assert install.startswith("-qq install --yes --no-install-recommends curl wget rsync openssl")


def test_elsewhere_it_is_said_what_is_skipped_and_how_to_get_it(tmp_path: Path) -> None:
    done = run("install-debian-packages", bare_machine(tmp_path, user=1000))
    assert done.returncode == 0
    assert "  wget: interrupted downloads by wget -c\n" in done.stdout
    assert re.search(r"^On Debian: sudo apt-get install curl wget rsync openssl", done.stdout, re.MULTILINE)
    assert not (tmp_path / "asked").exists()


def test_where_everything_is_there_nothing_is_done(tmp_path: Path) -> None:
    environment = bare_machine(tmp_path, user=0)
    for name in ("curl", "wget", "rsync", "openssl", "initdb", "mkfs.btrfs", "node", "npm"):
        program(tmp_path / "bin" / name, "")
    done = run("install-debian-packages", environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not (tmp_path / "asked").exists()


@pytest.mark.parametrize("name", ["environment", "build", "uv"])
def test_every_locked_version_has_its_hash_and_no_registry_is_named(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.lock").read_text()
    requirements = re.split(r"\n(?=\S)", re.sub(r"(?m)^\s*#.*\n", "", text).strip())
    assert requirements
    for requirement in requirements:
        assert re.match(r"[\w.-]+(\[[\w,-]+\])?==\S+ ", requirement), requirement
        assert "--hash=sha256:" in requirement, requirement
    assert "://" not in text


def normalised(name: str) -> str:
    """A package's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_what_the_packages_ask_for_is_locked() -> None:
    lock = (ROOT / "requirements" / "environment.lock").read_text()
    locked = {normalised(name) for name in re.findall(r"(?m)^([\w.-]+)", lock)}
    for project in ("pyproject.toml", "ebulk/pyproject.toml"):
        text = (ROOT / project).read_text()
        for group in re.findall(r"(?ms)^(?:dependencies|neo|relstorage|test) = \[(.*?)\]$", text):
            for name in re.findall(r'"([\w.-]+)', group):
                assert normalised(name) in locked, f"{name}: run make lock"
