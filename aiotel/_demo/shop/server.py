"""Serve HTTP on a socket: a task for each connection, and one below it for each request."""

from __future__ import annotations

import asyncio
import re
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from .http import BadMessageError, Request, Response, read_request, write_response

Handler = Callable[..., Coroutine[Any, Any, Response]]


class Server:
    """Finds the handler of a request by its method and path.

    A handler is called with the request and with what the groups of its route's pattern match.
    """

    def __init__(self, routes: dict[tuple[str, str], Handler]) -> None:
        self._routes = [(method, re.compile(path), handler) for (method, path), handler in routes.items()]

    async def listen(self) -> asyncio.Server:
        """Listen on a free port of this machine."""
        return await asyncio.start_server(self.serve_connection, "127.0.0.1", 0)

    async def serve_connection(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Answer requests until the client has had enough."""
        try:
            while request := await read_request(reader):
                # A task of its own, whose name says what was asked for.
                name = f"{request.method} {request.target}"
                response = await asyncio.create_task(self._handle(request), name=name)
                await write_response(writer, response, is_last=request.is_last)
                if request.is_last:
                    break
        except BadMessageError as error:
            await write_response(writer, Response.of(str(error), 400), is_last=True)
        except ConnectionError:
            pass  # the client has gone: its right
        except asyncio.CancelledError:
            # The shop closes. Let out, it is "Exception in callback" for the streams of Python 3.11.
            return
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    def _handle(self, request: Request) -> Coroutine[Any, Any, Response]:
        for method, pattern, handler in self._routes:
            found = pattern.fullmatch(request.path)
            if found and method == request.method:
                return handler(request, *found.groups())
        return not_found(request)


async def not_found(request: Request) -> Response:
    """Answer where there is no route."""
    return Response.of(f"nothing is at {request.path}", 404)
