"""Databases that really run: a ZEO server, PostgreSQL and a NEO cluster, started for the tests and ended with them.

Where one can't be started, `Unavailable` says why and what to install; the tests skip with that.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

START_TIMEOUT = 60
"""Seconds that a server may take to answer, on a busy machine."""


class Unavailable(Exception):
    """A database that can't be started here, and why."""


@contextmanager
def zeo_server(folder: Path, wait: int = START_TIMEOUT) -> Iterator[str]:
    """The URI of a ZEO server over a FileStorage in `folder`, on a Unix socket; its file is configured by a URI too.

    A client waits so many seconds for an answer. Another server over the same folder gets the same socket.
    """
    # A socket's path has at most 107 characters, which pytest's folders reach.
    short = Path(tempfile.gettempdir(), f"zeo-{sha256(bytes(folder)).hexdigest()[:16]}")
    short.mkdir(mode=0o700, exist_ok=True)
    try:
        address = short / "zeo.sock"
        configuration = folder / "zeo.conf"
        configuration.write_text(
            "%import Products.ERP5Wendelin.storage\n"
            f"<zeo>\n  address {address}\n</zeo>\n"
            f"<uristorage 1>\n  uri file://{folder}/Data.fs\n</uristorage>\n"
            "<eventlog>\n  level warn\n"
            f"  <logfile>\n    path {folder}/zeo.log\n  </logfile>\n</eventlog>\n"
        )
        with _process([sys.executable, "-W", "ignore", "-m", "ZEO.runzeo", "-C", str(configuration)], cwd=folder):
            # The client itself waits until the server answers.
            yield f"zeo://{address}?wait_timeout={wait}"
    finally:
        shutil.rmtree(short)


@contextmanager
def postgresql_server() -> Iterator[str]:
    """The folder of the socket of a new PostgreSQL cluster, whose superuser is `lake` and needs no password.

    PostgreSQL refuses to run as root: it runs as `postgres` then, in a folder of its own outside pytest's, which that
    user couldn't enter.
    """
    programs = _postgresql_programs()
    user = _unprivileged_user()
    with tempfile.TemporaryDirectory(prefix="pg") as folder, ExitStack() as stack:
        if user is not None:
            os.chown(folder, user.pw_uid, user.pw_gid)
        data = f"{folder}/data"

        def run(program: str, *arguments: str) -> None:
            subprocess.run(
                [programs / program, *arguments],
                check=True,
                cwd=folder,
                user=user.pw_uid if user else None,
                group=user.pw_gid if user else None,
                extra_groups=[] if user else None,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )

        run("initdb", "-D", data, "-U", "lake", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        options = f"-k {folder} -c listen_addresses='' -c fsync=off"
        run("pg_ctl", "start", "-w", "-t", str(START_TIMEOUT), "-D", data, "-l", f"{folder}/log", "-o", options)
        stack.callback(run, "pg_ctl", "stop", "-m", "fast", "-D", data)
        yield folder


def create_postgresql_database(folder: str, name: str) -> str:
    """Make a database in the server of `postgresql_server`, and return its URI."""
    subprocess.run(
        [_postgresql_programs() / "createdb", "-h", folder, "-U", "lake", name], check=True, stdin=subprocess.DEVNULL
    )
    return f"postgresql://lake@/{name}?host={quote(folder)}"


@contextmanager
def neo_cluster(folder: Path) -> Iterator[str]:
    """The URI of a NEO cluster of one master and one storage node, which keeps its data in SQLite in `folder`.

    $NEO_PATH names a checkout of neoppod, unless it is installed.
    """
    path = os.environ.get("NEO_PATH")
    if path and path not in sys.path:
        sys.path.insert(0, path)
    _check_neo()
    master = f"127.0.0.1:{free_port()}"
    common = ["-c", "lake", "-m", master]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [path, os.environ.get("PYTHONPATH")]))}

    def command(script: str, *arguments: str) -> list[str]:
        start = f"from neo.scripts.{script} import main; main()"
        return [sys.executable, "-W", "ignore", "-c", start, *common, "-l", str(folder / f"{script}.log"), *arguments]

    with (
        _process(command("neomaster", "-b", master, "-A", "1", "-p", "4"), env=environment, cwd=folder),
        _process(command("neostorage", "-a", "SQLite", "-d", str(folder / "neo.sqlite")), env=environment, cwd=folder),
    ):
        # The client itself waits until the cluster is operational.
        yield f"neo://lake@{master}"


def free_port() -> int:
    """A TCP port of the loopback that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def _process(command: Sequence[str], **options: object) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **options)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _postgresql_programs() -> Path:
    # Debian keeps the server's programs of each version off the path.
    candidates = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = shutil.which("initdb")
    for folder in [*candidates, *([Path(found).parent] if found else [])]:
        if all((folder / program).exists() for program in ("initdb", "pg_ctl", "createdb")):
            return folder
    raise Unavailable("PostgreSQL's server is not installed here: apt-get install postgresql")


def _unprivileged_user() -> pwd.struct_passwd | None:
    if os.getuid():
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        raise Unavailable("PostgreSQL does not run as root, and there is no user postgres here") from None


def _check_neo() -> None:
    hint = (
        "NEO's release on PyPI is for Python 2. For these tests, clone https://lab.nexedi.com/nexedi/neoppod and name "
        "the folder in $NEO_PATH"
    )
    if importlib.util.find_spec("neo") is None:
        raise Unavailable(f"neo.client is not installed. {hint}")
    try:
        importlib.import_module("neo.client.zodburi")
    except (ImportError, SyntaxError) as error:
        raise Unavailable(f"neo.client can't be imported: {error}. {hint}") from error
