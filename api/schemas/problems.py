"""The JSON of an error."""

from typing import Any

from pydantic import Field

from api.schemas.outputs import Output

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
