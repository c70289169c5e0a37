"""Starts a program as an unprivileged user of a user namespace. Run as a script by `account`, never imported.

    python -I -S enter.py UID GID PROGRAM ARGUMENT...

The kernel goes on seeing the caller (root) as owner of processes and files, but without any capability; the program
sees itself as UID:GID, which is all that PostgreSQL asks for.
"""

import ctypes
import os
import sys
from pathlib import Path

CLONE_NEWUSER = 0x10000000


def main() -> None:
    uid, gid, *program = sys.argv[1:]
    outside_uid, outside_gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER):
        raise SystemExit(f"unshare: {os.strerror(ctypes.get_errno())}")
    Path("/proc/self/uid_map").write_text(f"{uid} {outside_uid} 1")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/gid_map").write_text(f"{gid} {outside_gid} 1")
    os.execv(program[0], program)


if __name__ == "__main__":
    main()
