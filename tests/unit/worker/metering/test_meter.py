import threading

import pytest

from worker.metering.meter import Meter


class Clock:
    """A clock that is moved by hand."""

    def __init__(self):
        self.time = 100.0

    def __call__(self):
        return self.time

    def pass_(self, seconds):
        self.time += seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def meter(clock):
    return Meter(clock)


def test_overhead_is_busy_time_under_a_name(meter, clock):
    with meter.busy("load"):
        clock.pass_(3)
    with meter.busy("load"):
        clock.pass_(2)
    snapshot = meter.snapshot()
    assert (snapshot["busy_seconds"], snapshot["overhead"]) == (5.0, {"load": 5.0})
    assert snapshot["cpu_seconds"] > 0


def test_overhead_that_fails_is_booked_all_the_same(meter, clock):
    def load():
        with meter.busy("load"):
            clock.pass_(3)
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        load()
    assert meter.snapshot()["overhead"] == {"load": 3.0}


def test_seconds_of_an_attempt_count_as_busy_at_once(meter):
    account = meter.account()
    account.book("encode", 0.5)
    account.book("denoise", 1.5, cpu_seconds=0.2)
    account.book("denoise", 1.0, cpu_seconds=0.1)
    assert meter.snapshot()["busy_seconds"] == account.spent.gpu_seconds == 3.0
    assert account.spent.phases == {"encode": 0.5, "denoise": 2.5}
    assert account.spent.cpu_seconds == pytest.approx(0.3)
    assert meter.snapshot()["overhead"] == {}


def test_a_reading_of_an_account_does_not_change_when_more_is_booked(meter):
    account = meter.account()
    account.book("denoise", 1.0)
    before = account.spent
    account.book("denoise", 1.0)
    assert (before.gpu_seconds, before.phases) == (1.0, {"denoise": 1.0})


def test_a_warm_up_is_overhead(meter):
    meter.account(overhead="warm_up").book("denoise", 1.5)
    assert meter.snapshot()["overhead"] == {"warm_up": 1.5}
    assert meter.snapshot()["busy_seconds"] == 1.5


def test_energy_is_unknown_without_a_gauge_and_read_from_one_by_one_thread_at_a_time(meter):
    assert meter.snapshot()["energy_joules"] is None

    class Gauge:
        def __init__(self):
            self.readers = threading.Semaphore()
            self.reads = 0

        @property
        def joules(self):
            assert self.readers.acquire(blocking=False), "two at once"
            self.reads += 1
            self.readers.release()
            return float(self.reads)

    meter.measure_energy(Gauge())
    threads = [threading.Thread(target=meter.snapshot) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert meter.snapshot()["energy_joules"] == 9.0
