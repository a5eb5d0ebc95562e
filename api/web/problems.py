"""Everything that can go wrong for a client: each code with its HTTP status and its meaning, as data."""

from dataclasses import dataclass
from typing import Any

from pydantic import Field

from api.web.output import Output

REQUEST_ID = "7d6f0b1e4c5a4f0c8f6d2c1b0a998877"


class Fault(Output):
    """One thing wrong with a request, and where."""

    code: str = Field(description="Stable name of the fault.", examples=["out_of_range"])
    detail: str = Field(description="The fault in a sentence, without the place.", examples=["must be at most 50"])
    pointer: str | None = Field(
        None, description="Where in the body it is: a JSON Pointer (RFC 6901).", examples=["/steps"]
    )
    parameter: str | None = Field(None, description="The query parameter it is about.")

    @property
    def sentence(self) -> str:
        """Return the fault as a sentence that names the place."""
        return f"{self.pointer or self.parameter or 'The request'} {self.detail}."


class Problem(Output):
    """An error (RFC 9457)."""

    type: str = Field(description="A page about errors of this code.", json_schema_extra={"format": "uri"})
    title: str = Field(description="What the code means; the same for all errors with it.")
    status: int = Field(description="The HTTP status.", ge=400, le=599)
    code: str = Field(description="Stable name of the error.", examples=["out_of_range"])
    detail: str = Field(description="What went wrong this time.")
    request_id: str = Field(description="The `X-Request-Id` of this answer.", examples=[REQUEST_ID])
    errors: list[Fault] = Field(
        default_factory=list, description="Each fault of the request, 50 at most.", max_length=50
    )

    def model_dump_json(self, **options: Any) -> str:
        """Return the JSON; what does not apply is left out."""
        return super().model_dump_json(**{"exclude_none": True} | options)


@dataclass(frozen=True)
class Kind:
    """What is always true of one code; ``retry_after`` is the advice in seconds, if trying again may help."""

    status: int
    title: str
    retry_after: int | None = None


PROBLEMS: dict[str, Kind] = {
    # The request as a message
    "bad_request": Kind(400, "The request is malformed"),
    "invalid_json": Kind(400, "The body is not valid JSON"),
    "json_too_deep": Kind(400, "The body is nested too deeply"),
    "invalid_number": Kind(400, "A number is not finite, or has too many digits"),
    "duplicate_key": Kind(400, "An object names the same key twice"),
    "too_many_keys": Kind(400, "An object has too many keys"),
    "invalid_unicode": Kind(400, "The body is not valid UTF-8, or holds half a surrogate pair"),
    "invalid_cursor": Kind(400, "The cursor was not given out for this list"),
    "invalid_idempotency_key": Kind(400, "The Idempotency-Key is not 1 to 255 letters, digits, dashes or underscores"),
    "unauthorized": Kind(401, "A valid API key is required"),
    "insufficient_scope": Kind(403, "The API key lacks the scope for this"),
    "safety_not_configurable": Kind(403, "The safety check cannot be loosened by a request"),
    "not_found": Kind(404, "There is nothing here"),
    "image_not_readable": Kind(404, "The image was not published"),
    "method_not_allowed": Kind(405, "The method is not allowed here"),
    "request_timeout": Kind(408, "The body took too long to arrive"),
    "body_too_large": Kind(413, "The body is too large"),
    "unsupported_media_type": Kind(415, "The body has the wrong media type"),
    "content_encoding": Kind(415, "Compressed bodies are not accepted"),
    # The request as a wish
    "invalid_request": Kind(422, "Several fields are not valid"),
    "object_required": Kind(422, "The body must be a JSON object"),
    "unknown_field": Kind(422, "There is no such field"),
    "required": Kind(422, "A required field is missing"),
    "prompt_required": Kind(422, "The prompt is missing or blank"),
    "type": Kind(422, "A field has the wrong type"),
    "enum": Kind(422, "A field has none of the values it may have"),
    "out_of_range": Kind(422, "A number is out of range"),
    "too_long": Kind(422, "A text or a list is too long"),
    "control_character": Kind(422, "A text holds a control character"),
    "metadata_limit": Kind(422, "The metadata are too many, too long or not plain"),
    "unknown_model": Kind(422, "There is no such model"),
    "unknown_adapter": Kind(422, "There is no such adapter"),
    "unknown_asset": Kind(422, "There is no such asset"),
    "unknown_style": Kind(422, "There is no such style, or no such version of it"),
    "unsupported_image": Kind(422, "The file is no picture of one frame as PNG, JPEG or WebP"),
    "damaged_image": Kind(422, "The picture is damaged, cut off or takes too much to read"),
    "image_too_large": Kind(422, "The picture has too many pixels"),
    "incompatible": Kind(422, "Two fields do not go together"),
    "prompt_rejected": Kind(422, "The prompt asks for what this service does not print"),
    "cost_limit": Kind(422, "The job asks for more pixel steps than one job may"),
    "invalid_url": Kind(422, "The URL cannot be one of a webhook"),
    "destination_not_allowed": Kind(422, "Webhooks may not go to this destination"),
    "invalid_secret": Kind(422, "The secret is not `whsec_` and base64 of 24 to 64 bytes"),
    "scope_not_held": Kind(422, "A key cannot give scopes that it lacks"),
    "too_many_webhooks": Kind(422, "Too many webhooks exist already"),
    "template_syntax": Kind(422, "The template cannot be read"),
    "unknown_variable": Kind(422, "The template names something that is no column"),
    "identical_prompts": Kind(422, "Every recipient would get the same prompt"),
    "invalid_file": Kind(422, "The file of recipients cannot be read"),
    "no_recipients": Kind(422, "The file holds no recipients"),
    "too_many_recipients": Kind(422, "The campaign would have too many recipients"),
    "recipients_rejected": Kind(422, "Rows cannot be printed, and nothing was changed"),
    "invalid_parameter": Kind(422, "A query parameter is not valid"),
    "idempotency_key_reused": Kind(422, "The Idempotency-Key was used for a different request"),
    # The state of things
    "idempotency_in_progress": Kind(409, "The first request with this Idempotency-Key is still being handled", 1),
    "invalid_state": Kind(409, "The state of things does not allow this"),
    "prompt_erased": Kind(409, "The job's words were erased, so it cannot be repeated"),
    "budget_too_low": Kind(409, "The budget would be less than what is spent and held already"),
    "budget_spent": Kind(409, "What is left of the budget does not pay for this"),
    "digest_mismatch": Kind(409, "The campaign is no longer what was to be approved"),
    "asset_in_use": Kind(409, "A job that has not ended, or a campaign, needs this asset"),
    "webhook_exists": Kind(409, "There is a webhook with this URL already"),
    "webhook_disabled": Kind(409, "The webhook is disabled"),
    "webhook_without_url": Kind(409, "The webhook has no URL of its own"),
    "object_missing": Kind(410, "The stored image is gone"),
    "queue_full": Kind(429, "Too many jobs are queued already", 10),
    "too_many_assets": Kind(429, "Too many assets are kept already"),
    "too_many_uploads": Kind(429, "Too many files are being read at the moment", 5),
    "internal_error": Kind(500, "Something went wrong on our side"),
    "model_unavailable": Kind(503, "No press has offered a model yet", 5),
    "too_many_streams": Kind(503, "Too many connections are kept open already", 5),
    "database_unavailable": Kind(503, "The database does not answer", 5),
    "storage_unavailable": Kind(503, "The image storage does not answer", 5),
}
"""Every ``code`` that an answer may carry; clients may rely on them."""

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
"""The code of an answer that the web framework gives by itself."""
