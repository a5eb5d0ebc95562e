"""Settings: allowed webhook receivers, delivery and progress events."""

import re
from ipaddress import ip_network
from typing import Self

from pydantic import BaseModel, Field, model_validator

from common.settings.parsing import PREFIX, CommaSeparated

HOST_NAME = re.compile(r"(?![0-9.]+$)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")
LARGEST_PORT = 65_535
LEAST_WEBHOOK_DAYS = 4
"""Minimum number of days that messages are kept: retries take three."""


class WebhookSettings(BaseModel):
    """Settings: allowed webhook receivers, delivery and progress events."""

    max_webhooks: int = Field(20, ge=1, description="Maximum number of webhook endpoints per owner.")
    webhook_allow: CommaSeparated = Field(
        (),
        description="Receivers that may be non-public and use plain http: networks (`10.1.0.0/16`) and host names,"
        " comma-separated.",
    )
    webhook_http: bool = Field(False, description="Whether webhooks may be sent to any `http://` URL.")
    webhook_ports: CommaSeparated = Field(
        ("443", "8443"), description="Allowed ports of receivers that are not in `WEBHOOK_ALLOW`."
    )
    webhook_threads: int = Field(24, ge=1, le=512, description="Maximum number of concurrent webhook deliveries.")
    webhook_days: int = Field(
        30, ge=LEAST_WEBHOOK_DAYS, description="Days that webhook messages are kept in the delivery log."
    )

    campaign_progress_seconds: float = Field(
        60, gt=0, description="Maximum time between two `campaign.progress` events while a campaign makes progress."
    )
    campaign_progress_percent: float = Field(
        10,
        gt=0,
        le=100,
        description="Progress, in percent of the campaign, that triggers an earlier `campaign.progress`.",
    )

    @model_validator(mode="after")
    def _check_webhooks(self) -> Self:
        for entry in self.webhook_allow:
            try:
                ip_network(entry, strict=False)
            except ValueError:
                if not HOST_NAME.fullmatch(entry):
                    raise ValueError(f"{PREFIX}WEBHOOK_ALLOW must contain only networks and host names") from None
        if not all(port.isdecimal() and 0 < int(port) <= LARGEST_PORT for port in self.webhook_ports):
            raise ValueError(f"{PREFIX}WEBHOOK_PORTS must contain only numbers from 1 to {LARGEST_PORT}")
        return self
