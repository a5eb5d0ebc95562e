"""An S3 server in this process: one bucket in memory, and puts that are refused, denied or cut short by a script."""

import re
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from common.storage.s3 import S3Storage

Refusal = tuple[int, str]
"""A status and S3's code for it."""

SERVER_ERROR: Refusal = (500, "InternalError")
SLOW_DOWN: Refusal = (503, "SlowDown")
DENIED: Refusal = (403, "AccessDenied")
NO_BUCKET: Refusal = (404, "NoSuchBucket")
WRONG_CLOCK: Refusal = (403, "RequestTimeTooSkewed")


@dataclass
class Script:
    """What the server does: the next refusals of puts, one for all, or how much of the next object it keeps."""

    refusals: list[Refusal] = field(default_factory=list)
    always: Refusal | None = None
    loses_half: int = 0
    wants_signature: bool = False  # whichever it is: it is not checked
    bulk_refusal: Refusal | None = None  # of requests to delete many objects
    undeletable: str | None = None  # an object that the server refuses to delete
    puts: int = 0
    bulk_deletes: int = 0
    objects: dict[str, bytes] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, key: str, data: bytes) -> Refusal | None:
        """Store an object, or return why not."""
        with self.lock:
            self.puts += 1
            refusal = self.always or (self.refusals.pop(0) if self.refusals else None)
            if refusal is None:
                if self.loses_half:
                    self.loses_half -= 1
                    data = data[: len(data) // 2]
                self.objects[key] = data
            return refusal

    def remove(self, key: str) -> bool:
        """Delete an object; return whether that is allowed."""
        if key == self.undeletable:
            return False
        self.objects.pop(key, None)
        return True


class Handler(BaseHTTPRequestHandler):
    """Speaks as much of S3 as ``common.storage.s3`` asks for, with path-style addresses."""

    script: Script
    protocol_version = "HTTP/1.1"

    def log_message(self, *words: object) -> None:
        pass

    @property
    def key(self) -> str:
        return unquote(urlsplit(self.path).path).removeprefix("/images/")

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        refusal = self.script.take(self.key, data)
        if refusal is not None:
            return self._refuse(*refusal)
        return self._answer(200, headers={"ETag": f'"{md5(data, usedforsecurity=False).hexdigest()}"'})

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        if "list-type" in query:
            return self._list(query.get("prefix", [""])[0])
        if self.script.wants_signature and "X-Amz-Signature" not in query and "Authorization" not in self.headers:
            return self._refuse(*DENIED)
        if self.key not in self.script.objects:
            return self._refuse(404, "NoSuchKey")
        return self._answer(200, self.script.objects[self.key], {"Last-Modified": formatdate(usegmt=True)})

    def do_DELETE(self) -> None:
        if not self.script.remove(self.key):
            return self._refuse(*DENIED)
        return self._answer(204)

    def do_POST(self) -> None:
        """Delete many objects."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        digest = b64encode(md5(body, usedforsecurity=False).digest()).decode()
        self.script.bulk_deletes += 1
        if self.script.bulk_refusal is not None:
            return self._refuse(*self.script.bulk_refusal)
        if self.headers["Content-MD5"] != digest:
            return self._refuse(400, "MissingContentMD5")
        failed = [key for key in re.findall("<Key>(.*?)</Key>", body.decode()) if not self.script.remove(key)]
        rows = "".join(f"<Error><Key>{escape(key)}</Key><Code>AccessDenied</Code></Error>" for key in failed)
        return self._answer(200, f"<DeleteResult>{rows}</DeleteResult>".encode())

    def _list(self, prefix: str) -> None:
        keys = sorted(key for key in self.script.objects if key.startswith(prefix))
        rows = "".join(f"<Contents><Key>{escape(key)}</Key></Contents>" for key in keys)
        self._answer(200, f"<ListBucketResult><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>".encode())

    def _refuse(self, status: int, code: str) -> None:
        self._answer(status, f"<Error><Code>{code}</Code><Message>by script</Message></Error>".encode())

    def _answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextmanager
def serving(set_credentials: Callable[[str, str], None]) -> Iterator[tuple[Script, S3Storage]]:
    """Run such a server; yield its script, and a storage on it."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        set_credentials(name, "x" * 16)
    script = Script()
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Scripted", (Handler,), {"script": script})) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        endpoint = f"http://127.0.0.1:{server.server_port}"
        yield script, S3Storage.connect("images", endpoint=endpoint, public_endpoint=None)
        server.shutdown()
