"""What an image costs by the outcome of its safety check."""

from decimal import Decimal

import pytest

from common.usage.price import Charge
from worker.pictures.safety_verdict import Billing
from worker.press.publish import charge_picture

PER_HOUR = Decimal(3600)


@pytest.mark.parametrize(
    ("billing", "most", "charge"),
    [
        (Billing.CHARGED, None, Charge(Decimal(2), 2.0)),
        (Billing.CHARGED, Decimal("0.5"), Charge(Decimal("0.5"), 0.5, 1.5)),
        (Billing.BLOCKED, None, Charge(Decimal(0), 2.0)),
        (Billing.BLOCKED, Decimal("0.5"), Charge(Decimal(0), 2.0)),
        (Billing.REPLACED, None, Charge(Decimal(0), 0.0)),
    ],
)
def test_only_a_generated_image_that_is_published_has_a_price(
    billing: Billing, most: Decimal | None, charge: Charge
) -> None:
    assert charge_picture(billing, 2.0, PER_HOUR, most) == charge
