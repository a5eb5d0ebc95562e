"""What schemathesis cannot know from the document: names that lead somewhere, and that a key is for one request."""

import io
import itertools
import json
import os
from typing import Any

import schemathesis
from hypothesis import strategies
from PIL import Image
from schemathesis.transport.serialization import Binary

KNOWN = "PRESSROOM_FUZZ_KNOWN"
KEY = "Idempotency-Key"
RECEIVERS = ("url", "webhook_url")
SECRET = "whsec_" + "AAAA" * 8

_file = io.BytesIO()
Image.new("RGB", (8, 8), "teal").save(_file, "PNG")
# Of a file the document can say no more than that it is one.
schemathesis.openapi.format("binary", strategies.just(Binary(_file.getvalue())))

known: dict[str, str] = json.loads(os.environ.get(KNOWN, "{}"))
numbers = itertools.count()


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Give requests that are meant to be served names that lead somewhere, and idempotency keys that are new."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    for part in (case.query, case.path_parameters, case.body):
        if isinstance(part, dict):
            part.update({name: value for name, value in known.items() if name in part})
    if isinstance(case.body, dict) and isinstance(case.body.get("seed"), float):
        case.body["seed"] = int(case.body["seed"])  # 7.0 is an integer to JSON Schema; of a seed we ask more
    if isinstance(case.body, dict) and "adapters" in case.body:
        case.body["adapters"] = [{**adapter, "name": known["adapter"]} for adapter in case.body["adapters"][:1]]
    _mend_assets(case)
    _mend_styles(case)
    _mend_webhooks(case)
    if KEY in (case.headers or {}):
        case.headers[KEY] = f"{case.headers[KEY].strip(chr(34))[:200]}-{next(numbers)}"


def _mend_assets(case: Any) -> None:
    if case.path == "/v1/assets" and isinstance(case.query, dict) and "cursor" in case.query:
        case.query["cursor"] = known["asset_cursor"]
    if isinstance(case.body, dict) and {"init_image", "mask_image", "strength"} & case.body.keys():
        # The others need the first, and a strength below 1 may leave no step.
        case.body |= {"init_image": known["init_image"], "strength": 1}


def _mend_styles(case: Any) -> None:
    if case.path.startswith("/v1/styles") and isinstance(case.query, dict):
        case.query.pop("cursor", None)
    if case.path == "/v1/styles/{name}/versions":
        case.path_parameters["name"] = known["reference"]
    if case.path.endswith("/archive.zip") and isinstance(case.query, dict):
        case.query.pop("name", None)  # of a pattern the document can say no more than that it is a text


def _mend_webhooks(case: Any) -> None:
    if case.path.endswith("/deliveries") and isinstance(case.query, dict):
        case.query.pop("cursor", None)  # one is good for the list of one webhook
    if not isinstance(case.body, dict):
        return
    if "webhook_events" in case.body:
        case.body["webhook_url"] = ""
    mended = {name: f"https://example.com/{next(numbers)}" for name in RECEIVERS} | {"secret": SECRET}
    case.body |= {name: value for name, value in mended.items() if name in case.body}
