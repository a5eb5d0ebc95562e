import random

import pytest
from hypothesis import given, settings, strategies as st

from tests.support.engine.engine_fixture import Device, FakeTicket
from worker.engine.passes import DECODE, DENOISE, ENCODE, PassQueue, collect_tickets
from worker.metering.meter import Meter


@pytest.fixture
def device():
    return Device(ahead=1)


@pytest.fixture
def meter(device):
    return Meter(device.now)


@pytest.fixture
def passes(device):
    return PassQueue(device)


def test_the_rows_of_a_pass_share_its_time_equally(device, meter, passes):
    one, other = FakeTicket(meter), FakeTicket(meter, num_images=2)
    passes.run(DENOISE, [*one.rows, *other.rows], lambda: device.tell(6.0))
    passes.book()
    assert [row.seconds for row in (*one.rows, *other.rows)] == [2.0, 2.0, 2.0]
    assert (one.account.spent.phases, other.account.spent.phases) == ({DENOISE: 2.0}, {DENOISE: 4.0})
    assert meter.snapshot()["busy_seconds"] == 6.0


def test_the_result_of_a_pass_is_returned(device, meter, passes):
    assert passes.run(ENCODE, FakeTicket(meter).rows, lambda: "done") == "done"


def test_a_pass_that_fails_is_booked_all_the_same(device, meter, passes):
    ticket = FakeTicket(meter)

    def fail():
        device.tell(3.0)
        raise MemoryError

    with pytest.raises(MemoryError):
        passes.run(DECODE, ticket.rows, fail)
    passes.book()
    assert ticket.account.spent.phases == {DECODE: 3.0}
    assert ticket.open_passes == 0


def test_cpu_seconds_of_a_pass_are_booked_beside_those_of_the_accelerator(device, meter, passes):
    ticket = FakeTicket(meter)
    passes.run(DENOISE, ticket.rows, lambda: sum(range(200_000)))
    passes.book()
    assert ticket.account.spent.cpu_seconds > 0
    assert ticket.account.spent.gpu_seconds == 0


def test_booking_does_not_wait_for_passes_that_may_stay_open(device, meter, passes):
    one, other = FakeTicket(meter), FakeTicket(meter)
    passes.run(DENOISE, one.rows, lambda: device.tell(1.0))
    passes.run(DENOISE, other.rows, lambda: device.tell(1.0))
    passes.book(left=1)
    assert (one.open_passes, other.open_passes, device.reached) == (0, 1, 1.0)
    assert other.account.spent.gpu_seconds == 0
    passes.book(left=1)
    assert other.open_passes == 1
    passes.book()
    assert (other.open_passes, device.reached, other.account.spent.gpu_seconds) == (0, 2.0, 1.0)


def test_a_ticket_counts_once_however_many_of_its_rows_are_in_a_pass(device, meter, passes):
    ticket = FakeTicket(meter, num_images=3)
    passes.run(DENOISE, ticket.rows, lambda: None)
    assert ticket.open_passes == 1
    assert collect_tickets(ticket.rows) == [ticket]


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([ENCODE, DENOISE, DECODE]), st.floats(0, 10), st.booleans(), st.integers(0, 2)),
        max_size=30,
    ),
    st.randoms(use_true_random=False),
)
def test_attempts_and_overheads_add_up_to_busy_whatever_fails(work, dice: random.Random):
    device = Device(ahead=1)
    meter, passes = Meter(device.now), PassQueue(device)
    tickets = [FakeTicket(meter, num_images=count) for count in (1, 2, 3)]
    rows = [row for ticket in tickets for row in ticket.rows]
    for phase, seconds, fails, left in work:
        in_pass = dice.sample(rows, dice.randint(1, len(rows)))

        def act(seconds=seconds, fails=fails):
            device.tell(seconds)
            if fails:
                raise ZeroDivisionError

        if fails:
            with pytest.raises(ZeroDivisionError):
                passes.run(phase, in_pass, act)
        else:
            passes.run(phase, in_pass, act)
        passes.book(left)
        if left == 0:
            with meter.busy("load"):
                device.tell(1.0)
    passes.book()
    overhead = sum(meter.snapshot()["overhead"].values())
    spent = sum(ticket.account.spent.gpu_seconds for ticket in tickets)
    assert spent == pytest.approx(sum(row.seconds for row in rows))
    assert spent + overhead == pytest.approx(meter.snapshot()["busy_seconds"]) == pytest.approx(device.told)
    assert all(ticket.open_passes == 0 for ticket in tickets)
