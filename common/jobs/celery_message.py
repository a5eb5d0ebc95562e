"""Wire format of a notification: a message of Celery's task protocol 2, as kombu stores it in Redis.

https://docs.celeryq.dev/en/stable/internals/protocol.html
"""

import base64
import json
from typing import Any, Literal
from uuid import UUID, uuid4

from pydantic import BaseModel, Field, TypeAdapter

Task = Literal["claim-job"]
TASK: Task = "claim-job"
"""Name of the Celery task that a notification starts."""

LONGEST_BODY = 4096
"""Maximum size of an encoded body in characters; a notification carries one id."""

Embedded = dict[Literal["callbacks", "errbacks", "chain", "chord"], None]
BODY = TypeAdapter(tuple[tuple[str], dict[str, None], Embedded])


class Headers(BaseModel):
    """Headers that Celery reads before it runs a task; a notification has no ETA, expiry or compression."""

    task: Task
    id: str = Field(max_length=64)
    eta: None = None
    expires: None = None
    compression: None = None
    timelimit: tuple[None, None] | None = None


class Properties(BaseModel):
    """Properties that kombu reads to track delivery."""

    delivery_tag: str = Field(max_length=64)
    delivery_info: dict[str, Any]
    body_encoding: Literal["base64"]


class Envelope(BaseModel):
    """A notification as it is stored in Redis."""

    headers: Headers
    properties: Properties
    content_type: Literal["application/json"] = Field(alias="content-type")
    content_encoding: Literal["utf-8"] = Field(alias="content-encoding")
    body: str = Field(max_length=LONGEST_BODY)


def encode_message(queue: str, job_id: UUID) -> str:
    """Return a new notification for *queue* that carries *job_id* for tracing."""
    number = str(uuid4())
    body = [[str(job_id)], {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]
    return json.dumps(
        {
            "body": base64.b64encode(json.dumps(body).encode()).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {"lang": "py", "task": TASK, "id": number, "root_id": number, "retries": 0},
            "properties": {
                "body_encoding": "base64",
                "correlation_id": number,
                "delivery_info": {"exchange": "", "routing_key": queue},
                "delivery_mode": 2,
                "delivery_tag": number,
                "priority": 0,
            },
        }
    )


def decode_message(payload: Any) -> str:
    """Return the job id, as text, in a notification parsed from JSON; raise ValueError if any part is invalid."""
    envelope = Envelope.model_validate(payload)
    (job_id,), _, _ = BODY.validate_json(base64.b64decode(envelope.body, validate=True))
    return job_id
