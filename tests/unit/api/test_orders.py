"""What a model's card and the service allow, and what they fill in."""

from typing import Any

import pytest

from api import orders
from api.errors import RefusedError
from api.schemas.jobs import NewJob
from common.catalog import PAINTED_CARD, ModelCard
from common.ids import new_id
from common.jobs import Order
from common.requests import SchedulerName
from common.settings import Settings

PLAIN = PAINTED_CARD.model_copy(
    update={"name": "plain", "negative_prompt": False, "schedulers": [SchedulerName.EULER], "size_multiple": 16}
)
CARDS = [PAINTED_CARD, PLAIN]


def place(cards: list[ModelCard] | None = None, settings: dict[str, Any] | None = None, **wish: Any) -> Order:
    asked = NewJob.model_validate({"prompt": "x"} | wish)
    return orders.place(asked, CARDS if cards is None else cards, Settings(**(settings or {})), "ada", new_id())


def refused(**wish: Any) -> dict[str, str]:
    with pytest.raises(RefusedError) as caught:
        place(**wish)
    return {str(fault.pointer): fault.code for fault in caught.value.faults} or {"": caught.value.code}


def test_the_first_model_is_the_default_unless_another_is_set() -> None:
    assert place().request.model == "painted"
    assert place(settings={"default_model": "plain"}).request.model == "plain"


def test_without_any_model_the_service_is_not_ready() -> None:
    assert refused(cards=[]) == {"": "model_unavailable"}


def test_a_zero_is_not_taken_for_nothing() -> None:
    request = place(guidance_scale=0, seed=0).request
    assert (request.guidance_scale, request.seed) == (0.0, 0)


def test_whole_numbers_may_be_written_with_a_point() -> None:
    assert place(width=64.0, steps=3.0).request.width == 64


def test_what_the_model_does_not_take_is_told_field_by_field() -> None:
    wish = {"width": 72, "height": 4096, "steps": 151, "num_images": 9, "scheduler": "ddim", "negative_prompt": "fog"}
    assert refused(model="plain", **wish) == {
        "/width": "out_of_range",
        "/height": "out_of_range",
        "/steps": "out_of_range",
        "/num_images": "out_of_range",
        "/scheduler": "incompatible",
        "/negative_prompt": "incompatible",
    }


def test_an_empty_negative_prompt_goes_with_every_model() -> None:
    assert place(model="plain", negative_prompt="").request.negative_prompt == ""


def test_the_defaults_may_cost_too_much_as_well() -> None:
    assert refused(settings={"max_pixel_steps": 512 * 512 * 20 - 1}) == {"": "cost_limit"}
    assert place(settings={"max_pixel_steps": 512 * 512 * 20})
