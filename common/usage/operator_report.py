"""The operator's usage report: how the presses spent their time, and what it cost.

A press's own meter says what it was busy with; the ledger of attempts says what came of it. Over all time
busy = delivered + running + waste + overhead. Over a span attempts count whole where they began, so what was carried
over its ends stands beside them.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from common.db.types import round_money
from common.tables import Attempt, Press
from common.tables.usage import PressUsageSum
from common.usage import meter_readings, price, usage
from common.usage.meter_readings import MeterTotals
from common.usage.sources import Source, load_lines
from common.usage.spans import Span
from common.usage.usage import Usage, sum_lines

WHOLE_TIME = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
"""The span that leaves nothing out."""

_OF_PRESSES = Source(
    attempts=lambda statement: statement,
    attempts_by=Attempt.press_id.expression,
    sums=lambda statement: statement,
    sums_by=PressUsageSum.press_id.expression,
    table=PressUsageSum,
)


@dataclass(frozen=True)
class PressAccount:
    """How one press, or all, spent a span."""

    up: float = 0.0  # seconds between start and stop, or the last beat of one that never said goodbye
    meter: MeterTotals = field(default_factory=MeterTotals)
    ledger: Usage = field(default_factory=Usage)

    @property
    def idle(self) -> float:
        """Return the seconds in which a press was up and its accelerator had nothing to do."""
        return max(0.0, self.up - self.meter.busy)

    @property
    def utilisation(self) -> float | None:
        """Return the share of its time that it was busy; None if it was not up."""
        return self.meter.busy / self.up if self.up > 0 else None

    @property
    def delivered_share(self) -> float | None:
        """Return the share of its busy time that ended in images that were delivered; None if it was not busy."""
        return self.ledger.delivered / self.meter.busy if self.meter.busy > 0 else None

    @property
    def carried(self) -> float:
        """Return busy − (delivered + running + waste + overhead), in accelerator seconds.

        Spent in the span on attempts that began before it, less what attempts that began in it spent after it, or
        have spent since the last beat. Over all time it is nothing but the latter.
        """
        rest = self.meter.busy - self.ledger.gpu_seconds - sum(self.meter.overhead.values())
        return rest if abs(rest) > usage.ROUNDING else 0.0


@dataclass(frozen=True)
class CurrencyTotals:
    """What a span cost and earned in one currency."""

    up: Decimal  # the price of all time that presses were up
    charged: Decimal  # for images delivered
    images: int  # delivered

    @property
    def per_image(self) -> Decimal | None:
        """Return what an image delivered really cost, waste, overhead and idle time included; None without images."""
        return round_money(self.up / self.images) if self.images else None


@dataclass(frozen=True)
class OperatorReport:
    """The account of each press, the newest first, and of all."""

    presses: list[tuple[Press, PressAccount]]
    total: PressAccount
    money: dict[str, CurrencyTotals]  # by currency


def build_operator_report(session: Session, since: datetime, until: datetime) -> OperatorReport:
    """Return how all presses spent the time from *since* to *until*; attempts are those that began in it."""
    ledgers: dict[UUID, Usage] = sum_lines(load_lines(session, _OF_PRESSES, Span(since, until)))
    presses = _load_presses(session, since, until, ledgers)
    before, after = (meter_readings.load_meter_totals(session, presses, at) for at in (since, until))
    accounts = [
        (
            press,
            PressAccount(
                _compute_uptime(press, since, until), after[press.id] - before[press.id], ledgers.get(press.id, Usage())
            ),
        )
        for press in presses
    ]
    total = _sum_accounts(account for _, account in accounts)
    return OperatorReport(accounts, total, _sum_by_currency(accounts))


def price_uptime(press: Press, seconds: float) -> Decimal:
    """Return what it costs to have a press up that long, in its currency."""
    return price.price_gpu_seconds(seconds, press.price_per_hour)


def _load_presses(session: Session, since: datetime, until: datetime, ledgers: dict[UUID, Usage]) -> list[Press]:
    up = select(Press).where(Press.heartbeat_at > since, Press.started_at < until)
    presses = {press.id: press for press in session.scalars(up)}
    # One that died with a job in hand which it had not told of yet may have been last heard of before the span.
    if silent := ledgers.keys() - presses.keys():
        presses |= {press.id: press for press in session.scalars(select(Press).where(Press.id.in_(silent)))}
    return sorted(presses.values(), key=lambda press: (press.started_at, press.id), reverse=True)


def _compute_uptime(press: Press, since: datetime, until: datetime) -> float:
    began, ended = max(press.started_at, since), min(press.stopped_at or press.heartbeat_at, until)
    return max(0.0, (ended - began).total_seconds())


def _sum_accounts(accounts: Iterable[PressAccount]) -> PressAccount:
    up, meter, ledger = 0.0, MeterTotals(), Usage()
    for account in accounts:
        up += account.up
        meter += account.meter
        ledger += account.ledger
    return PressAccount(up, meter, ledger)


def _sum_by_currency(accounts: Iterable[tuple[Press, PressAccount]]) -> dict[str, CurrencyTotals]:
    money: dict[str, CurrencyTotals] = {}
    for press, account in accounts:
        ledger = account.ledger
        for currency in {press.currency, *ledger.amounts}:
            before = money.get(currency, CurrencyTotals(Decimal(0), Decimal(0), 0))
            money[currency] = CurrencyTotals(
                before.up + (price_uptime(press, account.up) if currency == press.currency else 0),
                before.charged + ledger.amounts.get(currency, Decimal(0)),
                before.images + ledger.images.get(currency, 0),
            )
    return dict(sorted(money.items()))
