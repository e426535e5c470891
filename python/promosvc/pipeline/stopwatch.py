"""Wall time of each stage, for reports."""

import time


class StopWatch:
    """Names the time since the last lap."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        """Seconds by stage, in the order in which they ended; a stage that came twice counts in full."""
        self._began = time.monotonic()

    def lap(self, name: str) -> None:
        """End a stage."""
        now = time.monotonic()
        self.laps[name] = round(self.laps.get(name, 0.0) + now - self._began, 3)
        self._began = now
