"""A team keeps its old client: its whole session, beside the new client, over a file and over ZEO."""

from __future__ import annotations

import os
import threading

import pytest

from support.databases import zeo_server
from support.disks import fill, small_disk
from support.lake import PASSWORD, ServedLake, served_lake
from support.original_ebulk import OriginalEbulk, Refused, md5
from support.shell import Shell

MIB = 2**20
PIECE = 700_001
"""Bytes of a piece: no block of the lake ends where a piece does."""

ALL = bytes(range(256))
FILES = {
    "every byte.bin": ALL * 40,
    "scans/first scan.nii.gz": ALL[::-1] * 8000,  # three pieces
    "scans/Zürich é.fif": os.urandom(PIECE),  # one, as large as pieces may be
    "README": b"read me\n",
    "empty.txt": b"",
}
EIGHT_CLIENTS_MEMORY = 400 * MIB


BOTH = pytest.mark.parametrize("lake", ["file", "zeo"], indirect=True)


@pytest.fixture(scope="module")
def lake(request, tmp_path_factory):
    """A lake that is served, over one of the storages."""
    home = tmp_path_factory.mktemp("lake")
    if request.param == "file":
        with served_lake(home) as lake:
            lake.add_user("ada", "contributor")
            yield lake
        return
    folder = tmp_path_factory.mktemp("zeo")
    with zeo_server(folder) as uri, served_lake(home, "--storage", uri) as lake:
        lake.add_user("ada", "contributor")
        yield lake


def user_of(lake: ServedLake) -> OriginalEbulk:
    return OriginalEbulk(lake.url, "ada", PASSWORD)


@BOTH
def test_whole_session_of_the_old_client(lake):
    ada = user_of(lake)
    assert ada.constants()["reference_length"] == 7
    for path, data in FILES.items():
        assert ada.exists("brain", path) == "FALSE"
        ada.upload("brain", path, data, PIECE)
        assert ada.exists("brain", path) == "TRUE"
    assert ada.count("brain") == len(FILES)
    assert {each["reference"]: (each["size"], each["hash"]) for each in ada.list("brain")["result"]} == {
        ada.ingestion_reference("brain", path): (len(data), md5(data)) for path, data in FILES.items()
    }
    for path, data in FILES.items():
        assert ada.download("brain", path, PIECE // 3) == data
    modified = b"now\n"
    assert ada.exists("brain", "README", size=str(len(modified))) == "FALSE"
    ada.send("brain", "README", modified, size=str(len(modified)))
    ada.rename("brain", "README", "docs/README.txt")
    assert ada.download("brain", "docs/README.txt") == modified
    ada.remove("brain", "empty.txt")
    assert sorted(ada.references("brain")) == sorted(
        ["brain/docs/README/txt", *(ada.ingestion_reference("brain", path) for path in list(FILES)[:3])]
    )
    assert ada.increase_version("brain") == b"001"
    assert ada.describe("brain", "Scans")["status_code"] == 0
    assert ada.metadata("brain", "docs/README.txt")["md5"] == md5(modified)


@BOTH
def test_each_client_reads_what_the_other_sent(lake, tmp_path):
    ada = user_of(lake)
    for path, data in FILES.items():
        ada.upload("mixed", path, data, PIECE)
    (tmp_path / "password").write_text(PASSWORD + "\n")
    shell = Shell(tmp_path, "mixed")
    shell.run("login", lake.url, "--user", "ada", "--password-file", "password")
    shell.run("clone", "mixed")
    folder = tmp_path / "mixed"
    assert {path: (folder / path).read_bytes() for path in FILES} == FILES
    large = os.urandom(3 * MIB)
    (folder / "new.large.bin").write_bytes(large)
    (folder / "README").write_bytes(b"changed\n")
    shell.run("push", "mixed", "--all", "-m", "from the new client")
    assert ada.download("mixed", "new.large.bin", MIB) == large
    assert ada.download("mixed", "README") == b"changed\n"
    ada.send("mixed", "README", b"changed back\n")
    shell.run("pull", "mixed")
    assert (folder / "README").read_bytes() == b"changed back\n"


@BOTH
def test_killed_server_keeps_the_pieces_that_were_answered(lake):
    ada = user_of(lake)
    data = os.urandom(3 * PIECE)
    sent = list(ada.pieces(data, PIECE))
    for eof, piece in (sent[1], sent[0]):
        ada.send("killed", "large.bin", piece, eof)
    lake.kill()
    lake.start()
    assert ada.exists("killed", "large.bin", "EOF") == "FALSE"
    ada.send("killed", "large.bin", sent[2][1], "EOF")
    assert ada.download("killed", "large.bin", MIB) == data


def test_disk_that_is_full_in_the_middle_of_a_piece_keeps_those_before_and_takes_it_once_there_is_room(tmp_path):
    before, large, end = os.urandom(3 * MIB + 5), os.urandom(9 * MIB + 1), os.urandom(MIB)
    with small_disk(tmp_path / "disk", 64 * MIB) as disk, served_lake(disk) as lake:
        lake.add_user("ada", "contributor")
        ada = user_of(lake)
        ada.send("full", "a.bin", before, "001")
        for left in (0, 6 * MIB, 15 * MIB):  # the bytes of the form, and the stored ones, are on this disk
            filler = fill(disk, left)
            with pytest.raises(Refused) as caught:
                ada.send("full", "a.bin", large, "002")
            filler.unlink()
            assert caught.value.status == 507
        lake.kill()
        lake.start()
        ada.send("full", "a.bin", large, "002")
        ada.send("full", "a.bin", end, "EOF")
        assert ada.download("full", "a.bin", 4 * MIB) == before + large + end


@pytest.mark.parametrize("lake", ["file"], indirect=True)
def test_server_stays_small_while_eight_clients_send_pieces_of_50_mb(lake):
    """Measured: 228 MiB, of which 99 before the first request (FileStorage); bodies of 67 MB are on the disk."""
    piece = os.urandom(1_000_000) * 50
    problems = []

    def send(number: int) -> None:
        try:
            user = user_of(lake)
            user.send("eight", f"{number}.bin", piece, "001", encoded=False)
            user.send("eight", f"{number}.bin", b"end", "EOF")
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert {each["hash"] for each in user_of(lake).list("eight")["result"]} == {md5(piece + b"end")}
    assert lake.peak_memory() < EIGHT_CLIENTS_MEMORY
