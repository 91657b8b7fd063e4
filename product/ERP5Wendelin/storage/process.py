"""Processes: names that say whether they are still there, for holders of leases (`storage.lease`); and their memory.

::

    lake1/5c0e…/4026531836/1234/88123        host / boot / namespace of process ids / process id / start of the process

A process id alone is given again to others, after a restart of the machine or sooner; with the boot and the process's
start (clock ticks since the boot, proc(5)) a name is given once. Process ids are those of a namespace: containers of
one machine, which share its boot, see each other's processes not at all, or by other ids. A holder within a process
adds a space, and whatever tells it from others there.

Where there is no /proc (macOS) a name has the host, the process id and random bits, and of no process it is known
whether it has ended: its lease expires. Of memory nothing is known there.
"""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")


def this_process() -> str:
    """The name of this process."""
    return _name(os.getpid())


@cache  # by the id, for the child of a fork is another process
def _name(pid: int) -> str:
    if not (PROC / "self").exists():
        return f"{socket.gethostname()}//{pid}/{os.urandom(4).hex()}"
    return name_of(pid)


def name_of(pid: int) -> str:
    """The name of a process of this machine, where there is a /proc. FileNotFoundError: there is no such process."""
    return f"{_machine()}/{pid}/{_start_of(pid)}"


def has_ended(name: str) -> bool:
    """Whether a process is known to be no more; False for one of another machine, of which nobody can tell."""
    machine, _, process = name.partition(" ")[0].rpartition("/")[0].rpartition("/")
    if not process.isdecimal() or not (PROC / "self").exists() or machine != _machine():
        return False
    try:
        return name_of(int(process)) != name.partition(" ")[0]
    except FileNotFoundError:
        return True


@cache
def _machine() -> str:
    """What the names of all processes begin with that this one can see."""
    boot = (PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    namespace = os.readlink(PROC / "self/ns/pid").removeprefix("pid:[").removesuffix("]")
    return f"{socket.gethostname()}/{boot}/{namespace}"


def _start_of(pid: int) -> str:
    """When a process began, in clock ticks since the boot. FileNotFoundError: there is none.

    A zombie, which only waits for its parent to look, is none: it holds nothing any more.
    """
    try:
        status = (PROC / str(pid) / "stat").read_bytes()
    except ProcessLookupError as error:  # it ended between opening and reading
        raise FileNotFoundError(*error.args) from error
    state, *fields = status.rpartition(b")")[2].split()  # the name before it may have spaces, and parentheses
    if state in (b"Z", b"X"):
        raise FileNotFoundError(f"process {pid} has ended")
    return fields[18].decode("ascii")


class Resident(NamedTuple):
    """The memory that this process has resident, in bytes, but for what the system can drop: pages of files."""

    private: int
    """What it has allocated."""
    shared: int
    """What it has mapped of shared memory, as wendelin.core's mapped arrays are."""


def resident() -> Resident:
    """The memory of this process; zeros where there is no /proc."""
    sizes = {}
    try:
        with open(PROC / "self/status", "rb") as status:
            for line in status:
                if line.startswith((b"RssAnon:", b"RssShmem:")):
                    name, size, _ = line.split()
                    sizes[name] = int(size) * 1024
    except FileNotFoundError:
        pass
    return Resident(sizes.get(b"RssAnon:", 0), sizes.get(b"RssShmem:", 0))


def resident_size() -> int:
    """All of it."""
    return sum(resident())
