"""The peer of the serving bench: an empty unary bytes handler on grpcio's asyncio server.

Prints its bound address and serves until it is terminated.
"""

import asyncio
import sys

import grpc


class Empty(grpc.GenericRpcHandler):
    """Answers every method with no bytes."""

    def __init__(self) -> None:
        self._handler = grpc.unary_unary_rpc_method_handler(self._answer)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:  # noqa: ARG002 (grpc's signature)
        """The one handler."""
        return self._handler

    @staticmethod
    async def _answer(request: bytes, context: grpc.aio.ServicerContext) -> bytes:  # noqa: ARG004 (same)
        return b""


async def serve() -> None:
    """Serve on a free loopback port."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Empty(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    try:
        asyncio.run(serve())
    except KeyboardInterrupt:
        sys.exit(0)
