"""ASGI middleware that reads a request's body to its end, whatever the answer."""

import asyncio

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

DRAIN_SECONDS = 30


class WholeBodies:
    """Sends an answer at once, then reads and discards what is left of the request's body, for a bounded time.

    Otherwise the server would close a connection on which the client still sends, and the system would reset it before
    the client has read the answer. A request that is cancelled, as the server stops, is answered with `stopping`.
    """

    def __init__(self, application: ASGIApp, stopping: Response) -> None:
        self._application, self._stopping = application, stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        ended = started = False

        async def receive_noting_the_end() -> Message:
            nonlocal ended
            message = await receive()
            ended = ended or message["type"] == "http.disconnect" or not message.get("more_body", False)
            return message

        async def send_then_drain(message: Message) -> None:
            nonlocal started
            started = True
            if message["type"] != "http.response.body" or message.get("more_body", False) or ended:
                await send(message)
                return
            await send({**message, "more_body": True})
            try:
                async with asyncio.timeout(DRAIN_SECONDS):
                    while not ended:
                        await receive_noting_the_end()
            except TimeoutError:
                pass  # the connection is then closed
            await send({"type": "http.response.body", "body": b"", "more_body": False})

        try:
            await self._application(scope, receive_noting_the_end, send_then_drain)
        except asyncio.CancelledError:
            if not started:
                await self._stopping(scope, receive, send)
