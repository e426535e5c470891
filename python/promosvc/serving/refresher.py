"""Keeps the refresher process alive while a server runs.

The refresher is a process of its own because it holds DuckDB and computes for seconds: its memory, its interpreter and
its crashes stay away from the server. It hears by the end of its standard input that the server is gone, also
when the server was killed. One that ends by itself is started again, after a pause that doubles each time.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

PAUSE_SECONDS_MIN = 1.0
PAUSE_SECONDS_MAX = 60.0
END_WITHIN_SECONDS = 5.0


class Refresher:
    """Starts a command, starts it again when it ends, stops it."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = list(command)
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="refresher", daemon=True)

    def start(self) -> None:
        """Start the process; it is watched from a thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the process: politely, then by force."""
        with self._lock:
            self._stopping.set()
            process = self._process
        if process is not None:
            assert process.stdin is not None
            process.stdin.close()
            process.terminate()
            try:
                process.wait(END_WITHIN_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        pause = PAUSE_SECONDS_MIN
        while True:
            with self._lock:
                if self._stopping.is_set():
                    return
                # Its output is a log like the server's own: JSON lines on standard error.
                # A Ctrl-C at the terminal is for the server, which then ends this process in its turn.
                self._process = subprocess.Popen(
                    self._command, stdin=subprocess.PIPE, stdout=sys.stderr, start_new_session=True
                )
            began = time.monotonic()
            code = self._process.wait()
            if self._stopping.is_set():
                return
            line = {"event": "refresher_ended", "level": "error", "exit_code": code, "pause_seconds": pause}
            print(json.dumps(line), file=sys.stderr, flush=True)
            if time.monotonic() - began > PAUSE_SECONDS_MAX:
                pause = PAUSE_SECONDS_MIN
            if self._stopping.wait(pause):
                return
            pause = min(2 * pause, PAUSE_SECONDS_MAX)
