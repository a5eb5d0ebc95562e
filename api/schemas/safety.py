"""The JSON of a job's policy: what may be asked for, and what holds."""

from typing import Annotated

from pydantic import Field

from api.web.output import Output
from api.web.validation import Body
from common.safety.policy import Recourse, ReviewAction
from common.tables.states import SafetyMode

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class NewSafety(Body):
    """How much more strictly than usual the pictures of a job are judged; nothing can be made looser."""

    mode: Annotated[SafetyMode, Field(strict=False)] | None = Field(
        None, description="As this service has it; nobody can switch the check off, or on where it is off."
    )
    review_above: Share | None = Field(None, description="Score from which a picture is in the review band.")
    block_above: Share | None = Field(None, description="Score from which a picture is blocked.")
    review_action: Annotated[ReviewAction, Field(strict=False)] | None = Field(
        None, description="What happens to a picture in the review band, from lax to strict: flag, blur, block."
    )
    on_block: Annotated[Recourse, Field(strict=False)] | None = Field(
        None,
        description="What becomes of the job: `fail` if all was blocked; `reroll`: if all was blocked, it is printed"
        " again from other seeds a few times; `fallback`: the service's own picture takes the place of each that was"
        " blocked.",
    )


class JobSafety(Output):
    """By what a job's pictures are judged."""

    mode: SafetyMode = Field(description="`off`: the operator has switched the check off, and nothing is looked at.")
    review_above: float
    block_above: float
    review_action: ReviewAction
    on_block: Recourse
