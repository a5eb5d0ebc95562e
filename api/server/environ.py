"""Build the WSGI environment (PEP 3333) of a request from its ASGI scope."""

import sys
from collections.abc import Mapping
from typing import IO, Any
from urllib.parse import unquote_to_bytes

Environ = dict[str, Any]

_PLAIN = {"content-length": "CONTENT_LENGTH", "content-type": "CONTENT_TYPE"}
_SKIPPED = {"transfer-encoding", "content-length"}  # the body has been read, and its length is known
_SEPARATORS = {"cookie": "; "}


def build_environ(scope: Mapping[str, Any]) -> Environ:
    """Return the environment of the request in *scope*, without its body.

    Headers with an underscore are left out, because they could pass for those with a hyphen.
    """
    host, port = scope.get("server") or ("", None)
    client = scope.get("client") or ("", 0)
    environ: Environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": host,
        "SERVER_PORT": str(port or 0),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": client[0],
        "REMOTE_PORT": str(client[1]),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
    }
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if "_" in name or name in _SKIPPED:
            continue
        key = _PLAIN.get(name) or f"HTTP_{name.upper().replace('-', '_')}"
        environ[key] = f"{environ[key]}{_SEPARATORS.get(name, ',')}{value}" if key in environ else value
    return environ


def attach_body(environ: Environ, body: IO[bytes], length: int) -> Environ:
    """Return a copy of *environ* with a body of *length* bytes."""
    return {**environ, "CONTENT_LENGTH": str(length), "wsgi.input": body}
