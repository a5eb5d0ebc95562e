"""The gunicorn worker that serves the app through ``Bridge``: ``worker_class = "api.server.worker.ApiWorker"``."""

import asyncio
import os
import resource
import sys
from typing import Any, ClassVar, cast

from gunicorn.arbiter import Arbiter  # type: ignore[import-untyped]  # it ships no types
from uvicorn.server import Server
from uvicorn_worker import UvicornWorker  # type: ignore[import-untyped]  # it ships no types

from api.server.bridge import Bridge
from api.server.connections import LimitedConnection, close_overdue

SWITCH_SECONDS = 0.001
"""How long a busy thread keeps the interpreter from the others: at Python's 5 ms, threads that compute for one caller
hold up the short requests of all others."""


class ApiWorker(UvicornWorker):  # type: ignore[misc]  # untyped
    """A worker process: an event loop that reads and sends, and the threads that run the app."""

    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {
        "http": LimitedConnection,
        "interface": "asgi3",
        "lifespan": "off",
        "loop": "uvloop",
        "proxy_headers": False,
        "server_header": False,
        "timeout_notify": 0.5,
        "ws": "none",
    }

    idle_threads = 0
    """How many threads there are for requests that mostly wait."""

    _server: Server | None = None

    def is_stopping(self) -> bool:
        """Return whether the worker was asked to stop; its waiting connections must then end."""
        return self._server is not None and self._server.should_exit

    def init_process(self) -> None:
        """Allow as many connections as the system does, let threads take short turns, and start to serve."""
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        sys.setswitchinterval(SWITCH_SECONDS)
        super().init_process()

    async def callback_notify(self) -> None:
        """Do what is due each second: tell gunicorn that the worker lives, and close overdue connections."""
        await super().callback_notify()
        server = cast("Server", self._server)
        if self.ppid != os.getppid():
            server.should_exit = True  # gunicorn has died
        close_overdue(server.server_state.connections, asyncio.get_running_loop().time())

    async def _serve(self) -> None:
        self.config.app = Bridge(self.wsgi, self.cfg.threads, self.idle_threads)
        self._server = Server(self.config)
        self._install_sigquit_handler()
        await self._server.serve(sockets=self.sockets)
        if not self._server.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)
