"""Messages that cannot be read are answered INVALID_ARGUMENT and told why.

gRPC reads messages before a servicer sees them, and takes what that raises for a defect of the server's: UNKNOWN, and a
traceback in its log. Other languages' clients send strings that are no UTF-8 without noticing; Python's cannot.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

Context = grpc.aio.ServicerContext[Any, Any]

_HINT = "its bytes are damaged, or a string in it is not UTF-8"


async def refuse(error: DecodeError, context: Context) -> None:
    """Ends a call whose message raised this when it was read."""
    await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"{error}: {_HINT}")


class RefuseUnreadable(grpc.aio.ServerInterceptor):
    """Guards the unary calls of one service, given by its full name. Its streams read, and refuse, by themselves."""

    def __init__(self, service: str) -> None:
        self._prefix = f"/{service}/"

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """The call's handler, guarded."""
        handler: Any = await continuation(handler_call_details)
        if handler is None or not handler_call_details.method.startswith(self._prefix) or handler.request_streaming:
            return handler
        read, written = _or_error(handler.request_deserializer), handler.response_serializer
        return grpc.unary_unary_rpc_method_handler(_guarded(handler.unary_unary), read, written)


def _or_error(read: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """The deserializer, with an error returned in place of a message: only a handler can choose how a call ends."""

    def read_or_error(data: bytes) -> Any:
        try:
            return read(data)
        except DecodeError as error:
            return error

    return read_or_error


def _guarded(answer: Callable[[Any, Context], Awaitable[Any]]) -> Any:
    async def guarded(request: Any, context: Context) -> Any:
        if isinstance(request, DecodeError):
            await refuse(request, context)
        return await answer(request, context)

    return guarded
