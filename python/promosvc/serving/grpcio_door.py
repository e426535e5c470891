"""The grpcio door: a grpc.aio server that hands bytes to the same engine as the native one.

It decodes nothing: requests and answers cross as bytes, so that both doors answer the same bytes. Health and
reflection come through the same call. grpcio words the texts of an oversize message and of a passed deadline itself.
A durable write blocks until it is on the disk, so it runs on a thread of a pool while the event loop goes on.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, TypeVar

import grpc

from promosvc._core import Door
from promosvc.config import ServerConfig
from promosvc.errors import FailedPreconditionError, UnavailableError
from promosvc.v1 import admin_service_pb2, promo_service_pb2

MESSAGE_BYTES_MAX = 4 * 1024 * 1024
CODES = {code.value[0]: code for code in grpc.StatusCode}
UNARY_METHODS = [
    *(
        f"/{service.full_name}/{method.name}"
        for descriptor in (promo_service_pb2.DESCRIPTOR, admin_service_pb2.DESCRIPTOR)
        for service in descriptor.services_by_name.values()
        for method in service.methods
    ),
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/List",
]
DURABLE_METHODS = frozenset(
    f"/promosvc.v1.PromoService/{method}" for method in ("RecordEvents", "UpsertItems")
)
# Writes that wait for the disk at once; one sync takes them all, so more threads would only wait in another place.
DURABLE_THREADS = 32
WATCH_METHOD = "/grpc.health.v1.Health/Watch"
REFLECTION_METHODS = [
    f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo" for version in ("v1", "v1alpha")
]
# How often a watched health is looked at: as often as the server looks for a new snapshot.
WATCH_SECONDS = 1.0

Answer = TypeVar("Answer")


class GrpcioServer:
    """A grpc.aio server on an event loop of its own thread."""

    def __init__(self, config: ServerConfig, document: str) -> None:
        self._config = config
        self._door = Door(document)
        self._executor = ThreadPoolExecutor(DURABLE_THREADS, thread_name_prefix="grpcio-door-write")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="grpcio-door", daemon=True)
        self._server: grpc.aio.Server | None = None

    def start(self) -> str:
        """Bind and serve; the bound address.

        Raises:
            FailedPreconditionError: the address is not loopback and `insecure` is not set.
            UnavailableError: the address is taken.
        """
        config = self._config
        if config.address not in ("127.0.0.1", "::1", "localhost") and not config.insecure:
            raise FailedPreconditionError(
                f"server.address is {config.address}; without --insecure it must be a loopback address",
                reason="ADDRESS_NOT_LOOPBACK",
                field="server.address",
            )
        self._thread.start()
        return self._wait(self._start())

    def stop(self, grace_seconds: float) -> bool:
        """Stop after at most `grace_seconds`; grpcio does not tell whether calls were cut."""
        if self._server is None:
            return True
        self._door.drain()
        self._wait(self._server.stop(grace_seconds))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._server = None
        self._executor.shutdown()
        self._door.close(grace_seconds)
        return True

    def _wait(self, coroutine: Coroutine[Any, Any, Answer]) -> Answer:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def _start(self) -> str:
        host = f"[{self._config.address}]" if ":" in self._config.address else self._config.address
        server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),
            ]
        )
        server.add_generic_rpc_handlers((_Handlers(self._door, self._executor),))
        try:
            port = server.add_insecure_port(f"{host}:{self._config.port}")
        except RuntimeError as error:
            raise UnavailableError(
                f"server.port is {self._config.port}; it cannot be bound: {error}",
                reason="ADDRESS_IN_USE",
                field="server.port",
            ) from error
        await server.start()
        self._server = server
        return f"{host}:{port}"


class _Handlers(grpc.GenericRpcHandler):  # type: ignore[misc]  # reason: grpc has no types
    """Routes each known method to the door; grpcio answers UNIMPLEMENTED to the rest."""

    def __init__(self, door: Door, executor: Executor) -> None:
        self._handlers = {
            **{
                method: _unary(door, method, executor if method in DURABLE_METHODS else None)
                for method in UNARY_METHODS
            },
            **{method: _stream(door, method) for method in REFLECTION_METHODS},
            WATCH_METHOD: _watch(door),
        }

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        return self._handlers.get(handler_call_details.method)


async def _call(
    door: Door,
    method: str,
    request: bytes,
    context: grpc.aio.ServicerContext,
    executor: Executor | None = None,
) -> bytes:
    metadata = [
        (key, value.encode() if isinstance(value, str) else value)
        for key, value in context.invocation_metadata() or ()
    ]
    arguments = (method, request, metadata, context.time_remaining())
    if executor is None:
        code, message, trailing, response = door.call(*arguments)
    else:
        loop = asyncio.get_running_loop()
        code, message, trailing, response = await loop.run_in_executor(executor, door.call, *arguments)
    if code != 0:
        details = tuple((key, value if key.endswith("-bin") else value.decode()) for key, value in trailing)
        await context.abort(CODES[code], message, details)
    return response


def _unary(door: Door, method: str, executor: Executor | None) -> grpc.RpcMethodHandler:
    async def behaviour(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        return await _call(door, method, request, context, executor)

    return grpc.unary_unary_rpc_method_handler(behaviour)


def _stream(door: Door, method: str) -> grpc.RpcMethodHandler:
    """A stream of which each message is answered by one message."""

    async def behaviour(
        requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext
    ) -> AsyncIterator[bytes]:
        async for request in requests:
            yield await _call(door, method, request, context)

    return grpc.stream_stream_rpc_method_handler(behaviour)


def _watch(door: Door) -> grpc.RpcMethodHandler:
    """Health as it is, and again each time that it changes, until the caller has enough."""

    async def behaviour(request: bytes, context: grpc.aio.ServicerContext) -> AsyncIterator[bytes]:
        told = None
        while True:
            now = await _call(door, WATCH_METHOD, request, context)
            if now != told:
                told = now
                yield now
            await asyncio.sleep(WATCH_SECONDS)

    return grpc.unary_stream_rpc_method_handler(behaviour)
