"""What a process can give up for good before it looks at a file it does not trust. Linux; runs only in the child.

Limits always hold. Network, capabilities and files are given up where the kernel allows it: each of these functions
says whether it did, and a system that refuses still has the others.
"""

from __future__ import annotations

import ctypes
import math
import os
import resource
import signal
import struct
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38
_CLONE_NEWNET: Final = 0x40000000
_CLONE_NEWUSER: Final = 0x10000000
_CAPABILITY_VERSION_3: Final = 0x20080522

# Landlock (Linux 5.13), by system call: the C library has no names for it.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_RULE_PATH_BENEATH: Final = 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_ALL_FILE_ACCESS: Final = 0x1FFF
_SYSTEM_PLACES: Final = (
    "/usr", "/lib", "/lib64", "/dev/null", "/dev/urandom", "/etc/mime.types", "/etc/localtime", "/etc/ld.so.cache",
)  # fmt: skip


def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def die_with(parent: int) -> None:
    """Have the kernel kill this process when `parent`, its parent, ends; at once if that has happened already."""
    _libc().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def leave_network() -> bool:
    """Move to a network namespace without interfaces. The process must have one thread."""
    libc = _libc()
    user, group = os.getuid(), os.getgid()
    if libc.unshare(_CLONE_NEWNET) == 0:
        return True
    if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
        return False
    # an unmapped user can write no file
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    return True


def drop_capabilities() -> bool:
    """Keep none of root's powers, and gain none by running a program."""
    libc = _libc()
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
    return int(libc.capset(header, b"\0" * 24)) == 0


def restrict_files(readable: Iterable[Path], writable: Iterable[Path]) -> bool:
    """Let this process open only what Python needs, what is named, and what lies beneath it.

    Other documents, the store and other processes' environments are then out of its reach.
    """
    libc = _libc()
    attributes = ctypes.create_string_buffer(struct.pack("Q", _ALL_FILE_ACCESS))
    ruleset = libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(8), ctypes.c_uint(0))
    if ruleset < 0:
        return False
    read = _EXECUTE | _READ_FILE | _READ_DIR
    packages = Path(__file__).resolve().parent
    python = {Path(place) for place in (sys.base_prefix, sys.prefix, *_SYSTEM_PLACES)} | {packages}
    python |= {Path(place) for place in sys.path if Path(place).name in ("site-packages", "dist-packages")}
    for place, access in [
        *((place, read) for place in (*python, *readable)),
        *((place, _ALL_FILE_ACCESS) for place in writable),
    ]:
        try:
            descriptor = os.open(place, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue
        if not place.is_dir():
            access &= _EXECUTE | _WRITE_FILE | _READ_FILE
        rule = ctypes.create_string_buffer(struct.pack("=Qi", access, descriptor))
        libc.syscall(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_RULE_PATH_BENEATH), rule, ctypes.c_uint(0))
        os.close(descriptor)
    restricted = libc.syscall(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint(0)) == 0
    os.close(ruleset)
    return restricted


def limit(limits: Mapping[str, int]) -> None:
    """Set limits: `memory_bytes` of address space, `cpu_s`, `file_size_bytes`, `open_files`; no core file.

    All are hard but that of computing time, which `grant_cpu_s` can raise by up to `more_cpu_s`.
    """
    cpu_s = limits["cpu_s"]
    for which, soft, hard in (
        (resource.RLIMIT_AS, limits["memory_bytes"], limits["memory_bytes"]),
        (resource.RLIMIT_CPU, cpu_s, cpu_s + limits.get("more_cpu_s", 0) + 5),
        (resource.RLIMIT_FSIZE, limits["file_size_bytes"], limits["file_size_bytes"]),
        (resource.RLIMIT_NOFILE, limits["open_files"], limits["open_files"]),
        (resource.RLIMIT_CORE, 0, 0),
    ):
        _, most = resource.getrlimit(which)
        if most != resource.RLIM_INFINITY:
            soft, hard = min(soft, most), min(hard, most)
        resource.setrlimit(which, (soft, hard))


def grant_cpu_s(seconds: int) -> None:
    """Let this process compute for so many seconds from now, unless its limit is higher or its hard limit lower."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CPU)
    wanted = math.ceil(time.process_time()) + seconds
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and wanted > soft:
        resource.setrlimit(resource.RLIMIT_CPU, (wanted, hard))
