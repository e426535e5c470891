"""What a verb needs to know of the server that records into its data folder."""

from promosvc.config import Config
from promosvc.errors import UnavailableError

STATUS_SECONDS = 5.0


def running_server(loaded: Config) -> str | None:
    """The address of the server that records into the data folder now; nothing if there is none."""
    from promosvc.serving import find_server

    return find_server(loaded.data)


def durable_position(loaded: Config, address: str = "") -> int | None:
    """How far the event log may be read: the running server says it; without one, all of it (nothing).

    Raises:
        UnavailableError: a server holds the log and does not answer.
    """
    address = address or running_server(loaded) or ""
    if not address:
        return None
    from promosvc.client import Client

    with Client(address, timeout_seconds=STATUS_SECONDS) as client:
        status = client.get_status()
    if not status.HasField("event_log"):
        raise UnavailableError(
            f"the server at {address} records nothing, so it cannot say how far the log may be read",
            reason="RECORDING_OFF",
        )
    return int(status.event_log.durable_position)
