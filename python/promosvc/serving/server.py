"""The online composition root: a server behind one of two doors.

`native` is the Rust server that the data plane is built for. `grpcio` is a grpc.aio server that hands the
same bytes to the same engine: the differential oracle, and the place for people who need features
of the C core. Python starts, configures and stops them; it is never on the native request path.
"""

import json
import signal
import sys
import threading
from collections.abc import Callable
from typing import Literal, Protocol

from promosvc.config import Config
from promosvc.serving import presence
from promosvc.serving.document import native_document
from promosvc.serving.refresher import Refresher

Transport = Literal["native", "grpcio"]


class Door(Protocol):
    """What both servers can do."""

    def start(self) -> str:
        """Bind and serve; the bound address."""

    def stop(self, grace_seconds: float) -> bool:
        """Stop; whether every call had finished by then."""


class Server:
    """A server that is started and stopped once.

    Example:
        server = Server(config.load(flags={"server.port": 0}))
        address = server.start()
        ...
        server.stop(grace_seconds=5)
    """

    def __init__(self, config: Config, transport: Transport = "native") -> None:
        self.config = config
        self.transport = transport
        self._door: Door | None = None

    def start(self) -> str:
        """Bind, begin to serve, and return the bound address ("127.0.0.1:50051").

        Raises:
            PromosvcError: the address is taken or not allowed, or the configuration is wrong.
        """
        document = native_document(self.config)
        if self.transport == "native":
            from promosvc._core import Server as NativeServer

            self._door = NativeServer(document)
        else:
            from promosvc.serving.grpcio_door import GrpcioServer

            self._door = GrpcioServer(self.config.server, document)
        address = self._door.start()
        if self.config.events.enabled:
            presence.announce(self.config.data, address)
        return address

    def stop(self, grace_seconds: float | None = None) -> bool:
        """Stop: health says NOT_SERVING, running calls may finish within the grace, then all is cut.

        Returns:
            Whether every call had finished by then. A server that never started is stopped.
        """
        grace = self.config.server.drain_seconds_max if grace_seconds is None else grace_seconds
        if self._door is None:
            return True
        if self.config.events.enabled:
            presence.withdraw(self.config.data)
        return self._door.stop(grace)


def serve(
    config: Config,
    transport: Transport = "native",
    announce: Callable[[str], None] = print,
) -> bool:
    """Serve until SIGTERM or SIGINT, then drain; a second signal stops at once.

    Where events are recorded and the refresher is not switched off, its process runs beside the server.

    Args:
        config: what to serve.
        transport: which door.
        announce: called with the bound address once calls are answered.

    Returns:
        Whether every call had finished when the server stopped.
    """
    stopping = threading.Event()

    def on_signal(_number: int, _frame: object) -> None:
        if stopping.is_set():
            # The second signal: the first one's drain is in progress on this very thread.
            raise KeyboardInterrupt
        stopping.set()

    previous = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    server = Server(config, transport)
    refresher: Refresher | None = None
    try:
        address = server.start()
        if config.events.enabled and config.refresher.enabled:
            refresher = Refresher(_refresher_command(config, address))
            refresher.start()
        announce(address)
        stopping.wait()
        print(json.dumps({"event": "draining", "level": "info"}), file=sys.stderr, flush=True)
        stopped = threading.Event()
        outcome: list[bool] = []

        def drain() -> None:
            outcome.append(server.stop())
            stopped.set()

        # On a thread of its own, so that this one can still hear the second signal.
        threading.Thread(target=drain, name="drain", daemon=True).start()
        stopped.wait()
        return outcome[0]
    except KeyboardInterrupt:
        return server.stop(0)
    finally:
        if refresher is not None:
            refresher.stop()
        for number, handler in previous.items():
            signal.signal(number, handler)


def _refresher_command(config: Config, address: str) -> list[str]:
    return [
        *(sys.executable, "-m", "promosvc.cli", "refresh", "--follow"),
        *("--data", str(config.data.directory), "--server", address),
        *("--every", str(config.refresher.period_seconds), "--keep", str(config.snapshots.keep)),
    ]
