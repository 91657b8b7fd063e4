"""Both distributions as wheels: they hold everything, and run where there is nothing of these sources."""

from __future__ import annotations

import os
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from email.parser import HeaderParser
from pathlib import Path

import numpy
import pytest

from ebulk.cli.arguments import COMMANDS
from support.folders import read_files, write_files
from support.lake import PASSWORD, ServedLake, served_lake

ROOT = Path(__file__).parents[2]
SOURCES = ("pyproject.toml", "README.rst", "COPYING", "Products", "product", "bt5", "ebulk")
NOT_SOURCES = shutil.ignore_patterns("__pycache__", "*.egg-info", "build")
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
"""Those that ebulk is for; the server is for the first."""


def uv(*arguments: str | Path) -> None:
    """Run the uv that makes the environment, in these sources."""
    done = subprocess.run(
        ["sh", "-euc", '. tools/uv; uv "$@"', "sh", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def python(version: str) -> Path | None:
    """A CPython of this version on this machine: on the path, of pyenv, or one that uv has fetched."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    name = f"python{version}"
    fetched = Path.home() / ".local" / "share" / "uv" / "python"
    found = (*pyenv.glob(f"versions/{version}.*/bin/{name}"), *fetched.glob(f"cpython-{version}.*/bin/{name}"))
    for candidate in (shutil.which(name), *found):
        # a shim of pyenv's fails where its version isn't selected
        if candidate and not subprocess.run([candidate, "-c", ""], capture_output=True, check=False).returncode:
            return Path(candidate)
    return None


def install(folder: Path, version: str, wheel: Path) -> Path:
    """The folder of the commands of a new environment with this wheel."""
    found = python(version)
    if found is None:
        pytest.skip(f"there is no CPython {version} on this machine (`uv python install {version}` fetches one)")
    uv("venv", "--quiet", "--python", found, folder)
    locks = ROOT / "requirements"
    constraints = ("--build-constraints", locks / "build.lock", "--constraints", locks / "environment.lock")
    uv("pip", "install", "--quiet", "--python", folder, *constraints, wheel)
    return folder / "bin"


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The two wheels, built by way of their source distributions; the names are those of the distributions."""
    sources, made = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("wheels")
    for name in SOURCES:
        if (ROOT / name).is_dir() and not (ROOT / name).is_symlink():
            shutil.copytree(ROOT / name, sources / name, symlinks=True, ignore=NOT_SOURCES)
        else:
            shutil.copy(ROOT / name, sources / name, follow_symlinks=False)
    for folder in (sources, sources / "ebulk"):
        uv("build", "--quiet", "--python", python("3.10") or "3.10", "--out-dir", made, folder)
    return {wheel.name.split("-")[0]: wheel for wheel in made.glob("*.whl")}


def names(wheel: Path) -> set[str]:
    """What a wheel installs where Python looks, without its metadata."""
    found = zipfile.ZipFile(wheel).namelist()
    return {name for name in found if not name.partition("/")[0].endswith((".dist-info", ".data"))}


def shared(wheel: Path) -> set[str]:
    """What a wheel installs elsewhere, such as pages for man."""
    parts = (name.partition(".data/data/") for name in zipfile.ZipFile(wheel).namelist())
    return {name for _, found, name in parts if found}


def metadata(wheel: Path, file: str) -> str:
    """A file of the metadata."""
    archive = zipfile.ZipFile(wheel)
    (path,) = (name for name in archive.namelist() if name.endswith(file) and ".dist-info/" in name)
    return archive.read(path).decode()


def sources(folder: Path) -> set[str]:
    """The files below `folder`, as they are named there; links lead on."""
    files = (Path(place, name) for place, _, names in os.walk(folder, followlinks=True) for name in names)
    return {
        path.relative_to(folder).as_posix() for path in files if not {"__pycache__", "ebulk.egg-info"} & set(path.parts)
    }


@pytest.mark.parametrize(
    ("distribution", "folder", "prefix"),
    [("erp5_wendelin", "product", "Products/"), ("ebulk", "ebulk/src", "")],
    ids=["server", "client"],
)
def test_a_wheel_holds_all_sources_and_nothing_else(
    distribution: str, folder: str, prefix: str, wheels: dict[str, Path]
) -> None:
    held = names(wheels[distribution])
    assert held == {prefix + name for name in sources(ROOT / folder)}
    expected = {
        "erp5_wendelin": {
            "Products/ERP5Wendelin/bt5/erp5_wendelin_data_lake_ui/bt/title",
            "Products/ERP5Wendelin/configure.zcml",
            "Products/ERP5Wendelin/portal/component.xml",
            "Products/ERP5Wendelin/storage/component.xml",
        },
        "ebulk": {"ebulk/py.typed", "ebulk/cli/manual/pages/push.rst"},
    }
    assert expected[distribution] <= held
    # Products is a namespace that many distributions share: none of them may bring a module for it.
    assert "Products/__init__.py" not in held


@pytest.mark.parametrize(("distribution", "readme"), [("erp5_wendelin", "README.rst"), ("ebulk", "ebulk/README.rst")])
def test_a_wheel_holds_its_readme_and_licence(distribution: str, readme: str, wheels: dict[str, Path]) -> None:
    text = metadata(wheels[distribution], "METADATA")
    described = HeaderParser().parsestr(text)
    assert described["Description-Content-Type"] == "text/x-rst"
    assert described.get_payload().strip() == (ROOT / readme).read_text().strip()
    assert described["License"] == "GPL-3.0-or-later"
    assert metadata(wheels[distribution], "COPYING") == (ROOT / "COPYING").read_text()


def test_the_client_names_the_pythons_that_it_is_tested_on(wheels: dict[str, Path]) -> None:
    described = HeaderParser().parsestr(metadata(wheels["ebulk"], "METADATA"))
    named = [text.rpartition(" ")[2] for text in described.get_all("Classifier") if ":: 3." in text]
    assert (tuple(named), described["Requires-Python"]) == (PYTHONS, f">={PYTHONS[0]}")


def test_the_client_brings_pages_for_man_and_completion_for_shells(wheels: dict[str, Path]) -> None:
    assert shared(wheels["ebulk"]) == {
        "share/man/man1/ebulk.1",
        *(f"share/man/man1/ebulk-{name}.1" for name in COMMANDS),
        "share/bash-completion/completions/ebulk",
        "share/zsh/site-functions/_ebulk",
        "share/fish/vendor_completions.d/ebulk.fish",
    }


@pytest.fixture(scope="module")
def installed_lake(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedLake]:
    """A lake that is made and served by an installed server."""
    commands = install(tmp_path_factory.mktemp("server") / "venv", "3.10", wheels["erp5_wendelin"])
    with served_lake(tmp_path_factory.mktemp("lake"), commands=commands) as lake:
        yield lake


@pytest.mark.parametrize("version", PYTHONS)
def test_an_installed_client_pushes_to_an_installed_server_and_pulls_from_it(
    version: str, wheels: dict[str, Path], installed_lake: ServedLake, tmp_path: Path
) -> None:
    commands = install(tmp_path / "venv", version, wheels["ebulk"])
    files = {"a.txt": "hello", "sub/large": os.urandom(1_000_000), "link": "-> a.txt"}
    write_files(tmp_path / version, files)

    def run(*words: str | Path) -> None:
        done = subprocess.run(
            words,
            cwd=tmp_path,
            env={"HOME": str(tmp_path), "PATH": os.environ["PATH"], "PYTHONWARNINGS": "error"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    (tmp_path / "password").write_text(PASSWORD + "\n")

    def ebulk(*arguments: str | Path) -> None:
        run(commands / "ebulk", *arguments)

    ebulk("login", installed_lake.url, "--user", "admin", "--password-file", "password")
    ebulk("init", version)
    ebulk("push", version, "-m", f"from Python {version}")
    ebulk("clone", version, "copy")
    assert read_files(tmp_path / "copy") == files
    program = "import ebulk; (ebulk.open_folder('copy').root / 'new').write_text('x'); ebulk.push('copy', all=True)"
    run(commands / "python", "-W", "error", "-c", program)
    run(commands / "ebulk", "pull", version)
    assert read_files(tmp_path / version) == {**files, "new": "x"}
    assert (tmp_path / "venv" / "share" / "man" / "man1" / "ebulk-push.1").is_file()
    # arrays as files need no NumPy, which is not installed there, and as elements say so
    numpy.save(tmp_path / "a.npy", numpy.arange(6))
    ebulk("push", "--array", f"array {version}", "a.npy")
    ebulk("pull", "--array", f"array {version}", "--slice", "::2", "--output", "b.npy")
    assert numpy.load(tmp_path / "b.npy").tolist() == [0, 2, 4]
    program = (
        f"import ebulk; array = ebulk.Lake().array('array {version}'); assert array.shape == (6,)\n"
        "try: array[0]\n"
        "except ebulk.EbulkError as error: assert 'pip install numpy' in error.hint\n"
        "else: raise AssertionError"
    )
    run(commands / "python", "-W", "error", "-c", program)
