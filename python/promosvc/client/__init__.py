"""The Python client: grpcio stubs with deadlines, a retry policy and named errors."""

from promosvc.client.client import Client

__all__ = ["Client"]
