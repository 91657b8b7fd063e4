"""Programs that others wrote: tuspy, curl, wget."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

import pytest
import tusclient.client
from tusclient.exceptions import TusCommunicationError

from support.http_server import basic
from support.site import PASSWORD

DATA = random.Random(7).randbytes(5 * 1024 * 1024 + 17)  # two blocks and a half of the storage, and a bit
PIECE = 1024 * 1024 + 3


@pytest.fixture
def location(server) -> str:
    """URL of a push that has started."""
    server.request("PUT", "/data-sets/brain")
    return server.request("POST", "/data-sets/brain/ingestions").headers["Location"]


@pytest.fixture
def uploader(location, tmp_path_factory):
    """tuspy's uploader of a file with DATA."""
    source = tmp_path_factory.mktemp("source") / "scan.nii"
    source.write_bytes(DATA)
    client = tusclient.client.TusClient(f"{location}/uploads", headers={"Authorization": basic("ada", PASSWORD)})

    def make(**options):
        return client.uploader(str(source), chunk_size=PIECE, metadata={"filename": "scan.nii"}, **options)

    return make


@pytest.fixture
def url(server, location, uploader) -> str:
    """URL of a file with DATA, that anybody may read."""
    uploader().upload()
    server.request("POST", f"{location}/stop")
    server.request("POST", "/data-sets/brain/state", {"transition": "publish"})
    return f"{server.api}/data-sets/brain/files/scan.nii"


def run(tmp_path: Path, *command: str) -> str:
    """Run a program there, without the proxies of this machine; return what it printed."""
    program = shutil.which(command[0])
    if program is None:
        pytest.skip(f"{command[0]} is not installed")
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": str(tmp_path)}
    done = subprocess.run(
        [program, *command[1:]], cwd=tmp_path, env=environment, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    return done.stdout.decode()


def headers(*lines: str) -> list[str]:
    """Options of curl."""
    return [part for line in lines for part in ("-H", line)]


@pytest.mark.parametrize("checksum", [False, True])
def test_tuspy_sends_a_file_in_pieces(server, location, uploader, checksum):
    uploader(upload_checksum=checksum).upload()
    assert server.request("GET", location).data["received"] == {"file_count": 1, "size": len(DATA)}
    server.request("POST", f"{location}/stop")
    assert server.request("GET", "/data-sets/brain/files/scan.nii").body == DATA


def test_tuspy_goes_on_where_it_broke_off(server, location, uploader):
    first = uploader()
    first.upload_chunk()
    second = uploader(url=first.url)
    assert second.offset == PIECE
    second.upload()
    server.request("POST", f"{location}/stop")
    assert server.request("GET", "/data-sets/brain/files/scan.nii").body == DATA


def test_tuspy_is_told_that_an_upload_was_dropped(server, uploader):
    first = uploader()
    first.upload_chunk()
    server.request("DELETE", first.url, headers={"Tus-Resumable": "1.0.0"})
    with pytest.raises(TusCommunicationError, match=r"Attempt to retrieve offset fails with status 404"):
        uploader(url=first.url)


def test_curl_downloads_and_resumes(url, tmp_path):
    run(tmp_path, "curl", "-sSf", "-r", f"0-{PIECE - 1}", "-o", "scan.nii", url)
    assert (tmp_path / "scan.nii").read_bytes() == DATA[:PIECE]
    run(tmp_path, "curl", "-sSf", "-C", "-", "-o", "scan.nii", url)
    assert (tmp_path / "scan.nii").read_bytes() == DATA


def test_curl_asks_only_for_what_has_changed(url, tmp_path):
    fetch = (
        "curl",
        "-sSf",
        "--etag-save",
        "etag",
        "--etag-compare",
        "etag",
        "-o",
        "scan.nii",
        "-w",
        "%{http_code}",
        url,
    )
    assert [run(tmp_path, *fetch) for _ in range(2)] == ["200", "304"]


def test_curl_takes_the_name_of_the_file_from_the_answer(url, tmp_path):
    run(tmp_path, "curl", "-sSfOJ", url)
    assert (tmp_path / "scan.nii").read_bytes() == DATA


def test_curl_asks_for_the_headers_of_files_and_archives(url, tmp_path):
    assert f"Content-Length: {len(DATA)}\r\n" in run(tmp_path, "curl", "-sSfI", url)
    assert "application/x-tar" in run(tmp_path, "curl", "-sSfI", url.replace("files/scan.nii", "archive"))


def test_curl_pushes_a_bundle_with_its_own_media_type(server, location, tmp_path):
    (tmp_path / "a").write_bytes(b"a")
    run(tmp_path, "tar", "-cf", "bundle.tar", "--format=pax", "a")
    run(tmp_path, "curl", "-sSf", "-u", f"ada:{PASSWORD}", "--data-binary", "@bundle.tar", f"{location}/bundle")
    run(tmp_path, "curl", "-sSf", "-u", f"ada:{PASSWORD}", "-d", "", f"{location}/stop")
    assert server.request("GET", "/data-sets/brain/files/a").body == b"a"


def test_curl_sends_a_piece_of_unknown_length(server, location, tmp_path):
    (tmp_path / "scan.nii").write_bytes(DATA)
    login, show = ("-u", f"ada:{PASSWORD}"), ("-o", "/dev/null", "-w", "%header{location}")
    creation = headers("Tus-Resumable: 1.0.0", f"Upload-Length: {len(DATA)}", "Upload-Metadata: path YQ==")
    upload = run(tmp_path, "curl", "-sSf", *login, "-d", "", *creation, *show, f"{location}/uploads")
    media_type = "Content-Type: application/offset+octet-stream"
    piece = headers("Tus-Resumable: 1.0.0", "Upload-Offset: 0", media_type, "Transfer-Encoding: chunked")
    run(tmp_path, "curl", "-sSf", *login, *piece, "-X", "PATCH", "-T", "scan.nii", upload)
    server.request("POST", f"{location}/stop")
    assert server.request("GET", "/data-sets/brain/files/a").body == DATA


def test_wget_resumes(url, tmp_path):
    (tmp_path / "scan.nii").write_bytes(DATA[:PIECE])
    run(tmp_path, "wget", "-q", "-c", url)
    assert (tmp_path / "scan.nii").read_bytes() == DATA
    run(tmp_path, "wget", "-q", "-c", url)


def test_wget_logs_in(server, url, tmp_path):
    server.request("POST", "/data-sets/brain/state", {"transition": "validate"})
    login = ("--auth-no-challenge", "--user=dan", f"--password={PASSWORD}")
    run(tmp_path, "wget", "-q", *login, url)
    (tmp_path / "scan.nii").unlink()
    run(tmp_path, "wget", "-q", *login[1:], url)  # asks without credentials first, and is told how
    assert (tmp_path / "scan.nii").read_bytes() == DATA


def test_tar_reads_what_curl_pipes_to_it(url, tmp_path):
    archive = url.replace("files/scan.nii", "archive")
    run(tmp_path, "sh", "-c", f"curl -sSf {archive} | tar -x")
    assert (tmp_path / "scan.nii").read_bytes() == DATA
