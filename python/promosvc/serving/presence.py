"""Tells other processes on this machine which server records into a data folder, and where it listens.

    <data>/SERVING    one JSON line {"pid": 1234, "address": "127.0.0.1:50051"}, while a server records there

The event log's lock says whether that server lives; this file only adds its address. So a file that a killed
server left behind misleads nobody: its lock is free.
"""

import contextlib
import json
import os

from promosvc import _core
from promosvc.config import DataConfig

FILE = "SERVING"


def announce(data: DataConfig, address: str) -> None:
    """Write where this process listens; replaces what a dead server left."""
    path = data.directory / FILE
    new = path.with_suffix(".new")
    new.write_text(json.dumps({"pid": os.getpid(), "address": address}) + "\n", encoding="utf-8")
    new.replace(path)


def withdraw(data: DataConfig) -> None:
    """Remove what `announce` wrote."""
    with contextlib.suppress(FileNotFoundError):
        (data.directory / FILE).unlink()


def find_server(data: DataConfig) -> str | None:
    """The address of the server that records into this data folder now; nothing if there is none."""
    holder = _core.log_holder(str(data.event_log))
    if holder is None:
        return None
    try:
        told = json.loads((data.directory / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return str(told["address"]) if told.get("pid") == holder else None
