"""Nothing that is printed can be asked for without the safety check."""

from typing import Any

import pytest
from pydantic import BaseModel

from api.campaigns.schemas import CampaignChanges, NewCampaign
from api.jobs.schemas import NewJob
from api.jobs.styles import NewStyle
from api.web.errors import RefusedError

JOB = {"prompt": "a lighthouse"}
CAMPAIGN = {"name": "May", "template": {"prompt": "a cake"}, "budget": {"amount": "1"}}


@pytest.mark.parametrize("switch", ["safety_checker", "enable_safety_checker", "safety_policy", "moderation"])
@pytest.mark.parametrize(
    ("schema", "body"), [(NewJob, JOB), (NewStyle, {"name": "may"}), (NewCampaign, CAMPAIGN), (CampaignChanges, {})]
)
def test_a_safety_switch_of_another_service_is_refused(
    schema: type[BaseModel], body: dict[str, Any], switch: str
) -> None:
    with pytest.raises(RefusedError) as caught:
        schema.model_validate(body | {switch: True, "another_fault": 1})
    assert (caught.value.code, caught.value.message) == (
        "safety_not_configurable",
        "The safety check cannot be disabled.",
    )
    assert caught.value.faults == ()


@pytest.mark.parametrize("safety", ["off", False, None, [], 0, {"enabled": False}])
def test_the_safety_of_a_job_is_a_policy_or_refused(safety: object) -> None:
    with pytest.raises(RefusedError) as caught:
        NewJob.model_validate(JOB | {"safety": safety})
    assert caught.value.code == "safety_not_configurable"


def test_a_fault_within_a_policy_is_an_ordinary_fault() -> None:
    with pytest.raises(RefusedError) as caught:
        NewJob.model_validate(JOB | {"safety": {"block_above": 1.5}})
    assert (caught.value.code, caught.value.faults[0].pointer) == ("out_of_range", "/safety/block_above")


def test_an_unknown_field_of_defaults_is_an_ordinary_fault() -> None:
    with pytest.raises(RefusedError) as caught:
        NewCampaign.model_validate(CAMPAIGN | {"defaults": {"moderation": False}})
    assert (caught.value.code, caught.value.faults[0].pointer) == ("unknown_field", "/defaults/moderation")
