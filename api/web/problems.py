"""The problem catalogue: every error code with its HTTP status and title, and how a fault names its place."""

from dataclasses import dataclass
from typing import Any

from pydantic import Field

from api.web.output import Output

LONGEST_PART = 64
LONGEST_POINTER = 200

REQUEST_ID = "7d6f0b1e4c5a4f0c8f6d2c1b0a998877"


def join_pointer(pointer: str, part: str | int) -> str:
    """Return the JSON Pointer (RFC 6901) to *part* within *pointer*, shortened to limit how much input is echoed."""
    escaped = str(part)[:LONGEST_PART].replace("~", "~0").replace("/", "~1")
    return f"{pointer}/{escaped}"[:LONGEST_POINTER]


def quote_shortened(text: str) -> str:
    """Return *text* in quotes, truncated to a length that is safe to echo."""
    return repr(text if len(text) <= LONGEST_PART else f"{text[:LONGEST_PART]}…")


class FieldError(Output):
    """A single fault in a request and its location."""

    code: str = Field(description="Stable error code of the fault.", examples=["out_of_range"])
    detail: str = Field(description="Description of the fault, without its location.", examples=["must be at most 50"])
    pointer: str | None = Field(
        None, description="JSON Pointer (RFC 6901) to the field in the body.", examples=["/steps"]
    )
    parameter: str | None = Field(None, description="Name of the query parameter.")

    @property
    def sentence(self) -> str:
        """Return the fault as a sentence that includes its location."""
        return f"{self.pointer or self.parameter or 'The request'} {self.detail}."


class Problem(Output):
    """An error (RFC 9457)."""

    type: str = Field(description="URL of the documentation for this error code.", json_schema_extra={"format": "uri"})
    title: str = Field(description="Summary of the problem; the same for every error with this code.")
    status: int = Field(description="The HTTP status.", ge=400, le=599)
    code: str = Field(description="Stable error code.", examples=["out_of_range"])
    detail: str = Field(description="Description of this occurrence of the problem.")
    request_id: str = Field(description="The `X-Request-Id` of this response.", examples=[REQUEST_ID])
    errors: list[FieldError] = Field(
        default_factory=list, description="The faults in the request, up to 50.", max_length=50
    )

    def model_dump_json(self, **options: Any) -> str:
        """Return the problem as JSON, without the fields that do not apply."""
        return super().model_dump_json(**{"exclude_none": True} | options)


@dataclass(frozen=True)
class ProblemKind:
    """The fixed properties of an error code; ``retry_after`` is the suggested delay in seconds, if a retry may help."""

    status: int
    title: str
    retry_after: int | None = None


PROBLEMS: dict[str, ProblemKind] = {
    # Transport and syntax
    "bad_request": ProblemKind(400, "The request is malformed"),
    "invalid_json": ProblemKind(400, "The body is not valid JSON"),
    "json_too_deep": ProblemKind(400, "The body is nested too deeply"),
    "invalid_number": ProblemKind(400, "A number is not finite or has too many digits"),
    "duplicate_key": ProblemKind(400, "An object contains a duplicate key"),
    "too_many_keys": ProblemKind(400, "The body has too many keys or items"),
    "invalid_unicode": ProblemKind(400, "The body is not valid UTF-8 or contains an unpaired surrogate"),
    "invalid_cursor": ProblemKind(400, "The cursor is not valid for this list"),
    "invalid_idempotency_key": ProblemKind(
        400, "The Idempotency-Key must be 1 to 255 letters, digits, dashes or underscores"
    ),
    "unauthorized": ProblemKind(401, "A valid API key is required"),
    "insufficient_scope": ProblemKind(403, "The API key does not have the required scope"),
    "safety_not_configurable": ProblemKind(403, "A request cannot loosen the safety check"),
    "not_found": ProblemKind(404, "Not found"),
    "image_not_readable": ProblemKind(404, "The image was not published"),
    "method_not_allowed": ProblemKind(405, "The method is not allowed for this URL"),
    "request_timeout": ProblemKind(408, "The body took too long to arrive"),
    "body_too_large": ProblemKind(413, "The body is too large"),
    "unsupported_media_type": ProblemKind(415, "The body has the wrong media type"),
    "content_encoding": ProblemKind(415, "Compressed request bodies are not supported"),
    # Validation
    "invalid_request": ProblemKind(422, "Several fields are not valid"),
    "object_required": ProblemKind(422, "The body must be a JSON object"),
    "unknown_field": ProblemKind(422, "Unknown field"),
    "required": ProblemKind(422, "A required field is missing"),
    "prompt_required": ProblemKind(422, "The prompt is missing or blank"),
    "type": ProblemKind(422, "A field has the wrong type"),
    "enum": ProblemKind(422, "A field has a value that is not allowed"),
    "out_of_range": ProblemKind(422, "A number is out of range"),
    "too_long": ProblemKind(422, "A string or a list is too long"),
    "control_character": ProblemKind(422, "A string contains a control character"),
    "metadata_limit": ProblemKind(422, "The metadata has too many entries, is too long or is not plain text"),
    "unknown_model": ProblemKind(422, "Unknown model"),
    "unknown_adapter": ProblemKind(422, "Unknown adapter"),
    "unknown_asset": ProblemKind(422, "Unknown asset"),
    "unknown_style": ProblemKind(422, "Unknown style or style version"),
    "unsupported_image": ProblemKind(422, "The file is not a single-frame PNG, JPEG, WebP, HEIC or AVIF image"),
    "damaged_image": ProblemKind(422, "The image is damaged, truncated or too expensive to decode"),
    "image_too_complex": ProblemKind(422, "The image has too many parts to decode"),
    "image_too_large": ProblemKind(422, "The image has too many pixels"),
    "incompatible": ProblemKind(422, "A field cannot be combined with another field or with the model"),
    "prompt_rejected": ProblemKind(422, "The prompt asks for content that this service does not generate"),
    "cost_limit": ProblemKind(422, "The job exceeds the maximum number of pixel steps"),
    "invalid_url": ProblemKind(422, "The URL cannot be used for a webhook"),
    "destination_not_allowed": ProblemKind(422, "The webhook destination is not allowed"),
    "invalid_secret": ProblemKind(422, "The secret must be `whsec_` followed by 24 to 64 bytes in base64"),
    "scope_not_held": ProblemKind(422, "An API key cannot grant scopes that it does not have"),
    "too_many_webhooks": ProblemKind(422, "The maximum number of webhooks has been reached"),
    "too_many_api_keys": ProblemKind(422, "The maximum number of API keys has been reached"),
    "too_many_styles": ProblemKind(422, "The maximum number of styles has been reached"),
    "too_many_campaigns": ProblemKind(422, "The maximum number of campaigns has been reached"),
    "template_syntax": ProblemKind(422, "The template has a syntax error"),
    "unknown_variable": ProblemKind(422, "The template uses a variable that is not a column"),
    "unknown_id_column": ProblemKind(422, "The file lacks the column with the recipients' IDs"),
    "identical_prompts": ProblemKind(422, "Every recipient would get the same prompt"),
    "invalid_file": ProblemKind(422, "The recipients file cannot be read"),
    "no_recipients": ProblemKind(422, "The recipients file has no recipients"),
    "too_many_recipients": ProblemKind(422, "The campaign would have too many recipients"),
    "recipients_rejected": ProblemKind(422, "Some rows are not valid, so nothing was changed"),
    "invalid_parameter": ProblemKind(422, "A query parameter is not valid"),
    "idempotency_key_reused": ProblemKind(422, "The Idempotency-Key was used for a different request"),
    # State, limits and availability
    "idempotency_in_progress": ProblemKind(409, "The first request with this Idempotency-Key is still in progress", 1),
    "invalid_state": ProblemKind(409, "The current state does not allow this"),
    "prompt_erased": ProblemKind(409, "The job's prompt was erased, so it cannot be retried"),
    "budget_too_low": ProblemKind(409, "The budget is lower than the amount already spent and held"),
    "budget_spent": ProblemKind(409, "The remaining budget is not sufficient"),
    "digest_mismatch": ProblemKind(409, "The campaign has changed since it was reviewed for approval"),
    "asset_in_use": ProblemKind(409, "The asset is in use by an unfinished job or by a campaign"),
    "webhook_exists": ProblemKind(409, "A webhook with this URL already exists"),
    "webhook_disabled": ProblemKind(409, "The webhook is disabled"),
    "webhook_without_url": ProblemKind(409, "The webhook does not have its own URL"),
    "object_missing": ProblemKind(410, "The stored image no longer exists"),
    "queue_full": ProblemKind(429, "Too many jobs are queued", 10),
    "too_many_assets": ProblemKind(429, "The maximum number of assets has been reached"),
    "too_many_uploads": ProblemKind(429, "Too many files are being received or processed", 5),
    "internal_error": ProblemKind(500, "An internal error occurred"),
    "model_unavailable": ProblemKind(503, "The model is not available", 5),
    "too_many_downloads": ProblemKind(503, "Too many files are being sent", 5),
    "too_many_streams": ProblemKind(503, "Too many connections are open", 5),
    "database_unavailable": ProblemKind(503, "The database is not responding", 5),
    "storage_unavailable": ProblemKind(503, "The image storage is not responding", 5),
}
"""Every ``code`` that a response may carry; clients may rely on them."""

CODE_OF_STATUS = {
    400: "bad_request",
    401: "unauthorized",
    403: "insufficient_scope",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "unsupported_media_type",
    422: "invalid_request",
}
"""The error code for each status that the web framework raises itself."""
