"""An HTTP client for the API, used by the command line."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, NamedTuple, Self
from uuid import uuid4

import httpx2

from common.errors import ApiRefusedError, ApiUnreachableError
from common.settings import PREFIX
from common.states.jobs import TERMINAL, JobStatus

Json = dict[str, Any]

TIMEOUT_SECONDS = 30
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 1.0
FIRST_PATIENCE_SECONDS = 3
PATIENCE_SECONDS = 60
"""How long to retry once the API has answered before, for example during a restart."""

RETRIED_STATUSES = frozenset({429, 502, 503, 504})
"""Status codes after which the same request is retried."""

RECONNECT_SECONDS = 1.0
"""Pause before reconnecting to an interrupted event stream."""

LARGEST_EVENT_BYTES = 16_000_000
LAST_EVENT = "job"


class JobEvent(NamedTuple):
    """An event of a job: its name (``status``, ``progress``, ``image`` or ``job``) and its data."""

    name: str
    data: Json


class Client:
    """A client for one API and one key; each method raises ApiUnreachableError or ApiRefusedError."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._patience_seconds = FIRST_PATIENCE_SECONDS
        self._http = httpx2.Client(
            base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=TIMEOUT_SECONDS, follow_redirects=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection."""
        self._http.close()

    def submit(self, body: Mapping[str, Any]) -> Json:
        """Create a job; retries do not create it twice."""
        return self._json("POST", "/v1/jobs", json=dict(body), headers={"Idempotency-Key": uuid4().hex})

    def upload_asset(self, name: str, data: bytes) -> Json:
        """Upload an image file as an asset and return it; a retry may store it twice."""
        return self._json("POST", "/v1/assets", files={"file": (name, data)})

    def job(self, job_id: str) -> Json:
        """Return a job."""
        return self._json("GET", f"/v1/jobs/{job_id}")

    def jobs(self, *, status: str | None = None, model: str | None = None, limit: int = 20) -> Iterator[Json]:
        """Yield the newest jobs, at most *limit*."""
        return self._pages("/v1/jobs", {"status": status, "model": model}, limit)

    def cancel(self, job_id: str) -> Json:
        """Cancel a job."""
        return self._json("POST", f"/v1/jobs/{job_id}/cancel")

    def retry(self, job_id: str) -> Json:
        """Create a new job from one that has ended; retries do not create it twice."""
        return self._json("POST", f"/v1/jobs/{job_id}/retry", headers={"Idempotency-Key": uuid4().hex})

    def events(self, job_id: str) -> Iterator[JobEvent]:
        """Yield each event of a job once, reconnecting as needed; the last event is ``job``."""
        last_id = ""
        deadline = time.monotonic() + self._patience_seconds
        while True:
            has_answered = False
            try:
                for event in self._listen(job_id, last_id):
                    has_answered = True
                    last_id = event.id or last_id
                    if event.data:
                        yield JobEvent(event.event, json.loads(event.data))
                    if event.event == LAST_EVENT:
                        return
            except httpx2.InvalidURL:
                raise self._misdirected() from None
            except httpx2.TransportError as error:
                if not has_answered and time.monotonic() > deadline:
                    raise self._unreachable() from error
            if has_answered:
                deadline = time.monotonic() + self._patience_seconds
            time.sleep(RECONNECT_SECONDS)

    def wait(self, job_id: str, on_change: Callable[[Json], None] = lambda job: None) -> Json:
        """Return a job when it has ended; call *on_change* for every update.

        Listens to the event stream if the API has capacity, and polls otherwise.
        """
        job = self.job(job_id)
        on_change(job)
        if JobStatus(job["status"]) in TERMINAL:
            return job
        try:
            for event in self.events(job_id):
                if (changed := _apply_event(event, job)) is not None:
                    job = changed
                    on_change(job)
        except ApiRefusedError:
            return self._poll(job_id, on_change)
        return job

    def _poll(self, job_id: str, on_change: Callable[[Json], None]) -> Json:
        pause = FIRST_PAUSE_SECONDS
        while True:
            job = self.job(job_id)
            on_change(job)
            if JobStatus(job["status"]) in TERMINAL:
                return job
            time.sleep(pause)
            pause = min(pause * 1.2, LONGEST_PAUSE_SECONDS)

    def download(self, image: Mapping[str, Any]) -> bytes:
        """Return the bytes of an image after verifying its checksum."""
        content = self._send("GET", f"/v1/images/{image['id']}/content").content
        if hashlib.sha256(content).hexdigest() != image["sha256"]:
            raise ApiRefusedError(f"Image {image['id']} does not match its checksum.")
        return content

    def _pages(
        self, path: str, query: Mapping[str, str | None] | None = None, limit: int | None = None
    ) -> Iterator[Json]:
        """Yield the entries of a list, page by page, at most *limit*; None values in *query* are omitted."""
        wanted = {name: value for name, value in (query or {}).items() if value is not None}
        cursor: dict[str, str] = {}
        while limit is None or limit > 0:
            size = str(100 if limit is None else min(limit, 100))
            page = self._json("GET", path, params={**wanted, "limit": size, **cursor})
            yield from page["data"]
            limit = None if limit is None else limit - len(page["data"])
            if not page["has_more"]:
                return
            cursor = {"cursor": page["next"]}

    def _listen(self, job_id: str, last_id: str) -> Iterator[httpx2.ServerSentEvent]:
        """Yield the events after *last_id* from one connection."""
        headers = {"Last-Event-ID": last_id} if last_id else None
        path = f"/v1/jobs/{job_id}/events"
        with self._http.sse(path, headers=headers, max_event_size=LARGEST_EVENT_BYTES) as source:
            if not source.response.headers.get("Content-Type", "").startswith("text/event-stream"):
                source.response.read()
                raise ApiRefusedError(_format_problem(source.response))
            yield from source

    def _json(self, method: str, path: str, **options: Any) -> Json:
        response = self._send(method, path, **options)
        try:
            answer: Json = response.json()
        except ValueError:
            raise ApiUnreachableError(f"The server at {self._url} is not Pressroom.") from None
        return answer

    def _send(self, method: str, path: str, **options: Any) -> httpx2.Response:
        deadline = time.monotonic() + self._patience_seconds
        pause = FIRST_PAUSE_SECONDS
        while True:
            response = self._try(method, path, is_last=time.monotonic() + pause > deadline, **options)
            if response is not None:
                return response
            time.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    def _try(self, method: str, path: str, *, is_last: bool, **options: Any) -> httpx2.Response | None:
        """Return the response, or None if the request should be retried."""
        try:
            response = self._http.request(method, path, **options)
        except httpx2.InvalidURL:
            raise self._misdirected() from None
        except httpx2.TransportError as error:
            if is_last:
                raise self._unreachable() from error
            return None
        self._patience_seconds = PATIENCE_SECONDS
        if response.status_code in RETRIED_STATUSES and not is_last:
            return None
        if response.is_error:
            raise ApiRefusedError(_format_problem(response))
        return response

    def _misdirected(self) -> ApiUnreachableError:
        return ApiUnreachableError(f"{self._url} is not a valid URL; check {PREFIX}API_URL.")

    def _unreachable(self) -> ApiUnreachableError:
        return ApiUnreachableError(
            f"The API at {self._url} does not respond. Check that `pressroom up` is running and that"
            f" {PREFIX}API_URL is correct."
        )


def _apply_event(event: JobEvent, job: Json) -> Json | None:
    """Return *job* updated by *event*; None if there is nothing new to show."""
    told = event.data
    if event.name == LAST_EVENT:
        return told
    if event.name == "progress":
        return job | {"progress": {"step": told["step"], "steps": told["steps"]}}
    if event.name == "status" and JobStatus(told["status"]) not in TERMINAL:
        now = {"status": told["status"], "attempt": told["attempt"]}
        if now.items() <= job.items():
            return None  # already known, including the queue position
        return job | now | {"queue_position": None, "progress": job["progress"] | {"step": 0}}
    return None  # the final event has the whole job with its images


def _format_problem(response: httpx2.Response) -> str:
    """Return an error response (RFC 9457) as one sentence."""
    if response.status_code == httpx2.codes.UNAUTHORIZED:
        return f"Invalid API key. Create one with `pressroom keys create` and set {PREFIX}API_KEY."
    try:
        problem = response.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        return f"The API returned status {response.status_code}."
    faults = [
        f"{fault.get('pointer') or fault.get('parameter') or 'The request'} {fault.get('detail')}"
        for fault in problem.get("errors") or []
    ]
    return f"{'; '.join(faults)}." if faults else str(problem.get("detail") or problem.get("title"))
