"""A local web server: a page to try a classifier on, and JSON endpoints."""

import asyncio
import errno
import os
import signal
import socket
from functools import partial
from pathlib import Path
from types import FrameType

import uvicorn

from finetune.deploy.bundle import load_bundle, require_bundle
from finetune.deploy.config import ServeConfig
from finetune.deploy.labelling import Labelling
from finetune.deploy.web import web_application
from stackbert.core.errors import StackbertError

BACKLOG = 2_048  # connections that the system keeps until they are accepted
KEEP_ALIVE_SECONDS = 75  # more than the 60 of a reverse proxy, so that the proxy closes idle connections


def serve(model: Path, config: ServeConfig) -> None:
    """Serve the classifier in `model` until SIGINT or SIGTERM, and print the address once texts can be labelled.

    Raises StackbertError if the address cannot be listened on or the classifier not be loaded, and KeyboardInterrupt
    if a second SIGINT ends the server before its requests are answered.
    """
    require_bundle(model)
    with listen(config.host, config.port) as listener:
        server = ModelServer(model, config, listener)
        asyncio.run(server.run())


class ModelServer:
    """A server of one classifier on a socket that listens."""

    def __init__(self, model: Path, config: ServeConfig, listener: socket.socket) -> None:
        self._listener, self._config = listener, config
        self.labelling = Labelling(partial(load_bundle, model), config)
        application = web_application(self.labelling, model.absolute().name, config)
        self._server = _Server(
            uvicorn.Config(
                application,
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="error",  # what clients do wrong is answered, not logged: texts may be private
                access_log=False,
                proxy_headers=False,
                backlog=BACKLOG,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=config.stop_seconds,
            )
        )

    @property
    def address(self) -> str:
        """Such as http://127.0.0.1:8017/."""
        host = self._config.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self._listener.getsockname()[1]}/"

    def stop(self) -> None:
        """Accept no more connections, and end when the requests in flight are answered."""
        self._server.should_exit = True

    async def run(self) -> None:
        """Answer requests until told to stop: at first with 503, while the classifier is being loaded."""
        serving = asyncio.create_task(self._server.serve(sockets=[self._listener]))
        labelling = asyncio.create_task(self._label())
        try:
            await asyncio.wait((serving, labelling), return_when=asyncio.FIRST_COMPLETED)
            self.stop()
            await serving
            if labelling.done():
                labelling.result()  # raises why the classifier cannot be loaded
            labelling.cancel()
            await asyncio.wait([labelling])
        finally:
            self.labelling.close()
        if self._server.force_exit:
            raise KeyboardInterrupt
        print(f"stopped; requests answered: {self._server.server_state.total_requests:,}", flush=True)

    async def _label(self) -> None:
        await self.labelling.start()
        print(f"{self.address}  (press Ctrl+C to stop; JSON: POST /predict, described at /docs)", flush=True)
        await self.labelling.run()


class _Server(uvicorn.Server):
    """Ends with success when it is told to stop, where uvicorn's own raises the signal again at the end."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop; at a further SIGINT without waiting for requests. Supervisors may repeat SIGTERM."""
        self.force_exit = self.force_exit or (self.should_exit and sig == signal.SIGINT)
        self.should_exit = True


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on an address of this machine; raises StackbertError if it cannot."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError):
        raise StackbertError(
            f"host {host}: no such address; name one of this machine, such as 127.0.0.1, or 0.0.0.0 for all"
        ) from None
    family, _, _, _, address = min(found, key=lambda each: each[0] != socket.AF_INET)  # localhost may be ::1 as well
    try:
        listener = socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except OSError as error:
        advice = "choose another --port"
        if error.errno == errno.EADDRNOTAVAIL:
            advice = "name an address of this machine as --host"
        raise StackbertError(f"{host}:{port}: {os.strerror(error.errno or 0)}; {advice}") from None
    # connections inherit it: without, the body of an answer waits 40 ms for the client's acknowledgement of its head
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
