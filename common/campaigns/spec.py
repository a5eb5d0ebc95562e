"""The campaign spec: everything that determines what is printed, frozen and hashed on approval."""

from enum import StrEnum
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from common.jobs.request import ImageRequest


class SeedRule(StrEnum):
    """Where the seed of a print comes from."""

    CONTENT = "content"  # from what is asked: identical requests are one print
    RECIPIENT = "recipient"  # from who it is for: the same picture whatever list the recipient stands on
    FIXED = "fixed"  # the campaign's own, for all


class OnBlock(StrEnum):
    """What is done about a print that the safety check refuses."""

    FAIL = "fail"
    REROLL = "reroll"  # printed again with another seed, a bounded number of times
    FALLBACK = "fallback"  # the campaign's fallback picture stands in for it in the results


class Template(BaseModel):
    """The words of a campaign, in Liquid; a recipient's values fill them in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: str
    negative_prompt: str = ""


class Arm(BaseModel):
    """One way of printing: a campaign has one, or several that share its recipients out by weight."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = "main"
    weight: int = 1
    template: Template
    prefix: str = ""  # the style's, put before what the template gives
    suffix: str = ""  # likewise, put after it
    style: str | None = None  # `name@version`
    palette: tuple[str, ...] = ()  # the style's colours, `#rrggbb`
    request: ImageRequest  # all but the prompts and the seed; its negative prompt is for templates without one


class CampaignSpec(BaseModel):
    """All that decides which pictures a campaign prints."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    arms: tuple[Arm, ...]
    images_per_recipient: int = 1
    seed_rule: SeedRule = SeedRule.CONTENT
    seed: int = 0  # of the rule `fixed`
    on_block: OnBlock = OnBlock.FAIL
    fallback_image: UUID | None = None  # an asset of the owner's
    palette_floor: float | None = None  # the palette score below which a print is rolled again
    max_rerolls: int = 3  # of one print, for whatever reason
    allow_identical: bool = False  # whether a template without variables may go to several recipients

    def arm(self, name: str) -> Arm:
        """Return the arm called *name*, which is one of them."""
        return next(arm for arm in self.arms if arm.name == name)

    @classmethod
    def from_row(cls, stored: dict[str, Any]) -> Self:
        """Read a spec back from its JSON column."""
        return cls.model_validate(stored)
