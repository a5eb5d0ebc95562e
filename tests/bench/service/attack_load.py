"""Every attack at once, with one key, in a process of its own, until it is stopped: slow clients and costly bodies.

Reads a ``Target`` as JSON from standard input. Prints how often each costly body was answered, by status, as JSON.
"""

import http.client
import io
import json
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from PIL import Image

from tests.support.servers.slow_clients import KINDS, Target, attacking

SLOW_CLIENTS = 33
"""How many slow clients of each kind there are."""

SCANS = 3000
PAUSE_SECONDS = 0.2

_stop = threading.Event()


def build_progressive_jpeg() -> bytes:
    """Return a small progressive JPEG file whose last scan is repeated *SCANS* times."""
    file = io.BytesIO()
    Image.effect_noise((1024, 1024), 80).convert("RGB").save(file, "JPEG", progressive=True)
    data = file.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * SCANS + b"\xff\xd9"


def build_attacks(target: Target) -> dict[str, Callable[[], tuple[str, str, bytes, str]]]:
    """Return, by name, what builds the method, path, body and content type of a costly request."""
    template = {"prompt": "{{" * 4900}
    variants = [{"name": f"v{number}", "weight": 1, "template": template} for number in range(16)]
    campaign = {"name": "x", "template": template, "variants": variants, "budget": {"amount": "1"}}
    fields = {f"unknown{number}": number for number in range(16_000)}
    form = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n%s\r\n--x--\r\n'
    picture = form % build_progressive_jpeg()[:19_000_000]
    recipients = f"/v1/campaigns/{target.campaign_id}/recipients"
    return {
        "a line of tabs": lambda: ("PUT", recipients, b"name\n" + b"\t" * 980_000 + b"\n", "text/csv"),
        "templates": lambda: ("POST", "/v1/campaigns", json.dumps(campaign).encode(), "application/json"),
        "unknown fields": lambda: ("POST", "/v1/jobs", json.dumps(fields).encode(), "application/json"),
        "a JPEG of 3,000 scans": lambda: ("POST", "/v1/assets", picture, "multipart/form-data; boundary=x"),
    }


def send_again_and_again(target: Target, build: Callable[[], tuple[str, str, bytes, str]], seen: Counter[str]) -> None:
    """Send one costly request after the other until the process is asked to stop."""
    method, path, body, kind = build()
    headers = {"Authorization": f"Bearer {target.key}", "Content-Type": kind}
    while not _stop.wait(PAUSE_SECONDS):
        connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=60)
        try:
            connection.request(method, path, body, headers)
            seen[str(connection.getresponse().status)] += 1
        except OSError as error:
            seen[type(error).__name__] += 1
        finally:
            connection.close()


def main() -> None:
    """Attack until SIGTERM, then print what was answered."""
    signal.signal(signal.SIGTERM, lambda *_: _stop.set())
    target = Target(**json.loads(sys.stdin.readline()))
    seen: dict[str, Any] = {}
    with ExitStack() as stack:
        for kind in KINDS:
            stack.enter_context(attacking(target, kind, SLOW_CLIENTS))
        threads = []
        for name, build in build_attacks(target).items():
            seen[name] = Counter()
            threads.append(threading.Thread(target=send_again_and_again, args=(target, build, seen[name])))
        for thread in threads:
            thread.start()
        print("attacking", flush=True)
        for thread in threads:
            thread.join()
    print(json.dumps(seen), flush=True)


if __name__ == "__main__":
    main()
