"""Runs every command of docs/grpcurl.md with the real grpcurl against the demo's data.

A block is a command behind `$ ` (with lines that continue it) and what it prints. Each printed line must occur in
the real output; numbers and ids that data or a new model may change are compared by shape only.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "grpcurl.md"
BIN = Path(sys.executable).parent


def blocks() -> list[tuple[str, list[str]]]:
    found = []
    for block in re.findall(r"```console\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        command, *printed = block.replace("\\\n", " ").strip().split("\n")
        assert command.startswith("$ "), command
        # A quoted text may go over several lines.
        while command.count("'") % 2:
            command += printed.pop(0)
        found.append((command[2:], [line for line in printed if line.strip() not in ("", "...")]))
    return found


def shape(line: str) -> str:
    """The line without what data may change: numbers, the text of titles and categories, snapshot ids."""
    line = re.sub(
        r'"(title|category|snapshotId|version|itemId|attributionToken)": ".*?"', r'"\1": "…"', line.strip()
    )
    return re.sub(r"\d[\d.]*(e-\d+)?", "0", line).rstrip(",")


def test_the_page_has_commands() -> None:
    assert len(blocks()) >= 10


@pytest.mark.parametrize(("command", "printed"), blocks(), ids=[command[:60] for command, _ in blocks()])
def test_a_command_of_the_page_prints_what_the_page_says(
    native_address: str, command: str, printed: list[str]
) -> None:
    program, *arguments = shlex.split(command.replace("localhost:50051", native_address))
    assert program in ("grpcurl", "buf")
    done = subprocess.run(
        [BIN / program, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    output = done.stdout + done.stderr
    assert (done.returncode != 0) == ("ERROR:" in "\n".join(printed)), output
    lines = {shape(line) for line in output.splitlines()}
    for line in printed:
        assert shape(line) in lines, f"{line!r} is not in\n{output}"
