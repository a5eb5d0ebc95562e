"""The api from the outside: what the command line asks of it."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self
from uuid import uuid4

import httpx2

from common.errors import ApiRefusedError, ApiUnreachableError
from common.settings import PREFIX
from common.tables.states import TERMINAL, JobStatus

Json = dict[str, Any]

TIMEOUT_SECONDS = 30
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 1.0
FIRST_PATIENCE_SECONDS = 3
PATIENCE_SECONDS = 60
"""How long an api that has answered before may be away, as while it is restarted."""

AGAIN = frozenset({429, 502, 503, 504})
"""Answers after which the same request may be sent again."""

COME_BACK_SECONDS = 1.0
"""Pause before a stream of events that was cut is taken up again."""

LARGEST_EVENT_BYTES = 16_000_000
LAST_EVENT = "job"


class JobEvent(NamedTuple):
    """Something that has happened to a job: ``status``, ``progress``, ``image`` or ``job``, and what is told of it."""

    name: str
    data: Json


class Client:
    """Speaks to one api with one key; each method raises ApiUnreachableError or ApiRefusedError."""

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

    def submit(self, order: Mapping[str, Any]) -> Json:
        """Make a job; sent again after a fault, it is still made once."""
        return self._json("POST", "/v1/jobs", json=dict(order), headers={"Idempotency-Key": uuid4().hex})

    def hand_in(self, name: str, data: bytes) -> Json:
        """Hand in a picture's file for jobs to start from and return the asset; sent again, it may be kept twice."""
        return self._json("POST", "/v1/assets", files={"file": (name, data)})

    def job(self, job_id: str) -> Json:
        """Return a job."""
        return self._json("GET", f"/v1/jobs/{job_id}")

    def jobs(self, *, status: str | None = None, model: str | None = None, limit: int = 20) -> Iterator[Json]:
        """Yield the newest jobs, *limit* at most."""
        return self._pages("/v1/jobs", {"status": status, "model": model}, limit)

    def cancel(self, job_id: str) -> Json:
        """Cancel a job."""
        return self._json("POST", f"/v1/jobs/{job_id}/cancel")

    def retry(self, job_id: str) -> Json:
        """Make a new job with the request of one that has ended; sent again after a fault, it is still made once."""
        return self._json("POST", f"/v1/jobs/{job_id}/retry", headers={"Idempotency-Key": uuid4().hex})

    def events(self, job_id: str) -> Iterator[JobEvent]:
        """Yield what happens to a job, each event once, over as many connections as it takes; the last is ``job``."""
        last_id = ""
        give_up_at = time.monotonic() + self._patience_seconds
        while True:
            is_heard = False
            try:
                for event in self._listen(job_id, last_id):
                    is_heard = True
                    last_id = event.id or last_id
                    if event.data:
                        yield JobEvent(event.event, json.loads(event.data))
                    if event.event == LAST_EVENT:
                        return
            except httpx2.InvalidURL:
                raise self._misdirected() from None
            except httpx2.TransportError as error:
                if not is_heard and time.monotonic() > give_up_at:
                    raise self._unreachable() from error
            if is_heard:
                give_up_at = time.monotonic() + self._patience_seconds
            time.sleep(COME_BACK_SECONDS)

    def wait(self, job_id: str, on_change: Callable[[Json], None] = lambda job: None) -> Json:
        """Return a job when it has ended; *on_change* sees it whenever something was heard of it.

        It is followed by its events where the api has room for that, and else looked at now and then.
        """
        job = self.job(job_id)
        on_change(job)
        if JobStatus(job["status"]) in TERMINAL:
            return job
        try:
            for event in self.events(job_id):
                if (heard := _apply(event, job)) is not None:
                    job = heard
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
        """Return the bytes of an image, and see that they are those that were published."""
        content = self._send("GET", f"/v1/images/{image['id']}/content").content
        if hashlib.sha256(content).hexdigest() != image["sha256"]:
            raise ApiRefusedError(f"Image {image['id']} did not arrive as it was published.")
        return content

    def _pages(
        self, path: str, query: Mapping[str, str | None] | None = None, limit: int | None = None
    ) -> Iterator[Json]:
        """Yield what a list holds, page by page; *limit* entries at most. What is None in *query* is left out."""
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
        """Yield the events after *last_id* as far as one connection brings them."""
        headers = {"Last-Event-ID": last_id} if last_id else None
        path = f"/v1/jobs/{job_id}/events"
        with self._http.sse(path, headers=headers, max_event_size=LARGEST_EVENT_BYTES) as source:
            if not source.response.headers.get("Content-Type", "").startswith("text/event-stream"):
                source.response.read()
                raise ApiRefusedError(_explain(source.response))
            yield from source

    def _json(self, method: str, path: str, **options: Any) -> Json:
        response = self._send(method, path, **options)
        try:
            answer: Json = response.json()
        except ValueError:
            raise ApiUnreachableError(f"What answers at {self._url} is not Pressroom.") from None
        return answer

    def _send(self, method: str, path: str, **options: Any) -> httpx2.Response:
        give_up_at = time.monotonic() + self._patience_seconds
        pause = FIRST_PAUSE_SECONDS
        while True:
            response = self._try(method, path, is_last=time.monotonic() + pause > give_up_at, **options)
            if response is not None:
                return response
            time.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    def _try(self, method: str, path: str, *, is_last: bool, **options: Any) -> httpx2.Response | None:
        """Return the answer, or None when the request should be sent again."""
        try:
            response = self._http.request(method, path, **options)
        except httpx2.InvalidURL:
            raise self._misdirected() from None
        except httpx2.TransportError as error:
            if is_last:
                raise self._unreachable() from error
            return None
        self._patience_seconds = PATIENCE_SECONDS
        if response.status_code in AGAIN and not is_last:
            return None
        if response.is_error:
            raise ApiRefusedError(_explain(response))
        return response

    def _misdirected(self) -> ApiUnreachableError:
        return ApiUnreachableError(f"{self._url} is not a URL; see {PREFIX}API_URL.")

    def _unreachable(self) -> ApiUnreachableError:
        return ApiUnreachableError(
            f"The api at {self._url} does not answer; is `pressroom up` running, and {PREFIX}API_URL right?"
        )


def _apply(event: JobEvent, job: Json) -> Json | None:
    """Return *job* as it stands after *event*; None if there is nothing to be shown of it yet."""
    told = event.data
    if event.name == LAST_EVENT:
        return told
    if event.name == "progress":
        return job | {"progress": {"step": told["step"], "steps": told["steps"]}}
    if event.name == "status" and JobStatus(told["status"]) not in TERMINAL:
        now = {"status": told["status"], "attempt": told["attempt"]}
        if now.items() <= job.items():
            return None  # known, and its place in the queue with it
        return job | now | {"queue_position": None, "progress": job["progress"] | {"step": 0}}
    return None  # its images come with the whole job


def _explain(response: httpx2.Response) -> str:
    """Return an error answer (RFC 9457) as one sentence."""
    if response.status_code == httpx2.codes.UNAUTHORIZED:
        return f"The api does not accept this key; make one with `pressroom keys create`, and set {PREFIX}API_KEY."
    try:
        problem = response.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        return f"The api answered {response.status_code}."
    faults = [
        f"{fault.get('pointer') or fault.get('parameter') or 'The request'} {fault.get('detail')}"
        for fault in problem.get("errors") or []
    ]
    return f"{'; '.join(faults)}." if faults else str(problem.get("detail") or problem.get("title"))


class OwnerClient(Client):
    """A client that knows of these too; each method raises as those of ``Client`` do."""

    def image(self, image_id: str) -> Json:
        """Return an image."""
        return self._json("GET", f"/v1/images/{image_id}")

    def images(self, wanted: Mapping[str, str | None], limit: int | None = None) -> Iterator[Json]:
        """Yield images, the newest first, *limit* at most; *wanted* are the parameters of the list."""
        return self._pages("/v1/images", wanted, limit)

    def erase(self, image_id: str) -> None:
        """Erase an image for good."""
        self._send("DELETE", f"/v1/images/{image_id}")

    def floor(self) -> Json:
        """Return the press floor as it is now."""
        return self._json("GET", "/v1/floor")

    def usage(self, *, group_by: str | None, since: str | None, until: str | None) -> Json:
        """Return the owner's account."""
        query = _given({"group_by": group_by, "from": since, "to": until})
        return self._json("GET", "/v1/usage", params=query)

    def house(self, *, since: str | None, until: str | None) -> Json:
        """Return the account of the whole house."""
        return self._json("GET", "/v1/usage/house", params=_given({"from": since, "to": until}))

    def models(self) -> list[Json]:
        """Return the models on offer."""
        return list(self._json("GET", "/v1/models")["data"])

    def webhooks(self) -> list[Json]:
        """Return all webhooks, the newest first."""
        return list(self._json("GET", "/v1/webhooks")["data"])

    def create_webhook(self, url: str | None, events: Sequence[str], description: str | None) -> Json:
        """Make a webhook; the answer holds its secret, this once."""
        wish: dict[str, Any] = {"url": url, "events": list(events), "description": description}
        return self._json("POST", "/v1/webhooks", json={name: value for name, value in wish.items() if value})

    def change_webhook(self, webhook_id: str, verb: str) -> Json:
        """Enable, disable or test a webhook; a test answers with its delivery."""
        return self._json("POST", f"/v1/webhooks/{webhook_id}/{verb}")

    def rotate(self, webhook_id: str, overlap_seconds: int | None) -> Json:
        """Give a webhook a new secret, which the answer holds, this once."""
        wish = {} if overlap_seconds is None else {"overlap_s": overlap_seconds}
        return self._json("POST", f"/v1/webhooks/{webhook_id}/rotate", json=wish)

    def delete_webhook(self, webhook_id: str) -> None:
        """Delete a webhook and its deliveries."""
        self._send("DELETE", f"/v1/webhooks/{webhook_id}")

    def deliveries(self, webhook_id: str, *, state: str | None, limit: int) -> Iterator[Json]:
        """Yield what was sent to a webhook, the newest first."""
        return self._pages(f"/v1/webhooks/{webhook_id}/deliveries", {"state": state}, limit)

    def resend(self, webhook_id: str, delivery_id: str) -> Json:
        """Send a message again."""
        return self._json("POST", f"/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/resend")


def _given(query: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in query.items() if value is not None}
