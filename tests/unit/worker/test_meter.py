import pytest

from common.errors import InterruptedAttemptError
from tests.factories import image_request
from worker.engine.port import Unwatched
from worker.engine.run import Run
from worker.engine.watchdog import Watchdog
from worker.meter import Meter


class Clock:
    """A clock that moves when it is told."""

    def __init__(self):
        self.time = 100.0

    def __call__(self):
        return self.time

    def pass_(self, seconds):
        self.time += seconds


class Recorder:
    """A watch that keeps what it hears and stops the attempt at one of its steps, or never."""

    def __init__(self, stop_at=None):
        self.heard = []
        self.stop_at = stop_at

    def step(self, number, spent):
        self.heard.append((number, spent))
        if number == self.stop_at:
            raise InterruptedAttemptError


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def meter(clock):
    return Meter(clock)


def print_one(run, clock, steps, encode=1.0, step=2.0, decode=4.0):
    clock.pass_(encode)
    run.end_encoding()
    for number in range(1, steps + 1):
        clock.pass_(step)
        run.end_step(number, steps)
    clock.pass_(decode)
    return run.end_picture()


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


def test_a_lap_is_in_the_busy_time_at_once(meter, clock):
    account = meter.account()
    clock.pass_(1.5)
    account.lap("denoise")
    assert meter.snapshot()["busy_seconds"] == account.spent().gpu_seconds == 1.5
    assert account.spent().phases == {"denoise": 1.5}


def test_a_warm_up_is_overhead(meter, clock):
    account = meter.account(overhead="warm_up")
    clock.pass_(1.5)
    account.lap("denoise")
    assert meter.snapshot()["overhead"] == {"warm_up": 1.5}


def test_the_pictures_of_a_request_share_all_that_was_busy(meter, clock):
    request = image_request(steps=3, num_images=2)
    with Run(request, Unwatched(), meter.account(), Watchdog(60)) as run:
        seconds = [print_one(run, clock, 3), print_one(run, clock, 3, step=1.0)]
    assert seconds == [11.0, 8.0]
    assert meter.snapshot()["busy_seconds"] == sum(seconds)


def test_the_watch_hears_every_step_of_all_pictures_as_steps_of_the_request(meter, clock):
    watch = Recorder()
    with Run(image_request(steps=3, num_images=2), watch, meter.account(), Watchdog(60)) as run:
        print_one(run, clock, 3)
        print_one(run, clock, 3)
    assert [number for number, _ in watch.heard] == [0, 1, 1, 1, 2, 2, 3, 3]
    assert watch.heard[-1][1].phases == {"encode": 2.0, "denoise": 12.0, "decode": 8.0}


def test_a_pipeline_that_takes_more_steps_than_asked_for_still_ends_at_the_number_asked_for(meter, clock):
    watch = Recorder()
    with Run(image_request(steps=3), watch, meter.account(), Watchdog(60)) as run:
        print_one(run, clock, 5)
    assert [number for number, _ in watch.heard] == [0, 1, 1, 2, 3, 3]


def test_what_an_interrupted_attempt_spent_is_told_to_the_last_second(meter, clock):
    watch = Recorder(stop_at=2)
    with (
        pytest.raises(InterruptedAttemptError),
        Run(image_request(steps=4), watch, meter.account(), Watchdog(60)) as run,
    ):
        print_one(run, clock, 4)
    assert watch.heard[-1][1].gpu_seconds == meter.snapshot()["busy_seconds"] == 5.0


def test_what_a_failed_attempt_spent_since_its_last_step_is_told_too(meter, clock):
    watch = Recorder()

    def fail(run):
        clock.pass_(1)
        run.end_encoding()
        clock.pass_(7)
        raise MemoryError

    with pytest.raises(MemoryError), Run(image_request(), watch, meter.account(), Watchdog(60)) as run:
        fail(run)
    assert watch.heard[-1][1].phases == {"encode": 1.0, "denoise": 7.0}
    assert meter.snapshot()["busy_seconds"] == 8.0
