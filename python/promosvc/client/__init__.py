"""The Python client: grpcio stubs with deadlines, a retry policy and named errors."""

from promosvc.client.client import Client
from promosvc.client.event import event

__all__ = ["Client", "event"]
