"""Where webhooks may go, and how they are sent."""

import re
from ipaddress import ip_network
from typing import Self

from pydantic import BaseModel, Field, model_validator

from common.settings.parsing import PREFIX, CommaSeparated

HOST_NAME = re.compile(r"(?![0-9.]+$)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")
LARGEST_PORT = 65_535
LEAST_WEBHOOK_DAYS = 4
"""Days that messages are kept at least: trying takes three."""


class WebhookSettings(BaseModel):
    """Where webhooks may go, and how they are sent."""

    max_webhooks: int = Field(20, ge=1, description="Webhooks per owner.")
    webhook_allow: CommaSeparated = Field(
        (),
        description="Receivers of webhooks that need not be public, nor on https: networks as `10.1.0.0/16` and names"
        " of hosts, separated by commas.",
    )
    webhook_http: bool = Field(False, description="Whether webhooks may go to any `http://` URL too.")
    webhook_ports: CommaSeparated = Field(
        ("443", "8443"), description="Ports of receivers that are not in `WEBHOOK_ALLOW`."
    )
    webhook_threads: int = Field(24, ge=1, le=512, description="Webhooks that a clerk sends at once at most.")
    webhook_days: int = Field(
        30, ge=LEAST_WEBHOOK_DAYS, description="How long messages to webhooks, sent or not, can be looked at."
    )

    campaign_progress_seconds: float = Field(
        60, gt=0, description="How long after a `campaign.progress` the next is told at the latest, if there is any."
    )
    campaign_progress_percent: float = Field(
        10, gt=0, le=100, description="How much more of a campaign must be done for it to be told sooner."
    )

    @model_validator(mode="after")
    def _check_webhooks(self) -> Self:
        for entry in self.webhook_allow:
            try:
                ip_network(entry, strict=False)
            except ValueError:
                if not HOST_NAME.fullmatch(entry):
                    raise ValueError(f"{PREFIX}WEBHOOK_ALLOW must hold networks and names of hosts only") from None
        if not all(port.isdecimal() and 0 < int(port) <= LARGEST_PORT for port in self.webhook_ports):
            raise ValueError(f"{PREFIX}WEBHOOK_PORTS must hold numbers from 1 to {LARGEST_PORT}")
        return self
