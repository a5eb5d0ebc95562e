import pytest

from tests.support.engine.engine_fixture import Device, FakeFamily, card
from tests.support.factories import image_request
from worker.engine.batch_limits import LONGEST_PASS_SECONDS, BatchLimits
from worker.engine.memory_limits import PATIENCE
from worker.engine.passes import DECODE, DENOISE
from worker.engine.watchdog import Watchdog

CARD = card()
TYPICAL = {"model": CARD.name, "guidance_scale": CARD.default_guidance_scale}


def profile(costs=lambda rows: rows, most=16, **family):
    """Return the caps after a profile of a model whose step with so many rows takes so many seconds."""
    device = Device()
    caps = BatchLimits([CARD], most)
    made = FakeFamily(device, most_rows=family.pop("most_rows", None), seconds=costs, **family)
    caps.profile(made, CARD, device, Watchdog(60))
    caps.family, caps.device = made, device
    return caps


def cap(caps, **changes):
    return caps.of(image_request(**(TYPICAL | changes)))


def tried(caps):
    return sorted({len(seeds) for phase, seeds in caps.family.journal if phase == "denoise"})


@pytest.mark.parametrize(
    ("costs", "wanted"),
    [
        (lambda rows: 0.01 * rows, 1),  # never faster
        (lambda rows: 0.01, 16),  # free
        (lambda rows: 0.01 * max(rows, 4), 4),  # full at four
        (lambda rows: 0.01 * (1 + 0.9 * (rows - 1)), 2),  # 5 % once, then less
        (lambda rows: {1: 0.01, 2: 0.011, 4: 0.022, 8: 0.0435, 16: 0.0869}[rows], 2),
    ],
)
def test_the_smallest_batch_is_kept_after_which_doubling_no_longer_pays(costs, wanted):
    assert cap(profile(costs)) == wanted


def test_one_slow_measurement_on_the_way_up_does_not_decide():
    costs = {1: 0.01, 2: 0.03, 4: 0.013, 8: 0.02, 16: 0.1}
    assert cap(profile(costs.__getitem__)) == 8


def test_the_first_pass_of_a_size_pays_for_set_up_and_does_not_count():
    seen = set()

    def costs(rows):
        first = rows not in seen
        seen.add(rows)
        return 0.5 if first else 0.01

    assert cap(profile(costs)) == 16


def test_no_batch_is_tried_that_would_make_others_wait_too_long():
    caps = profile(lambda rows: LONGEST_PASS_SECONDS / 4 * rows)
    assert tried(caps) == [1, 2, 4]


def test_profiling_stops_at_the_end_of_memory_and_frees_it():
    caps = profile(lambda rows: 0.01, fits=5)
    assert tried(caps) == [1, 2, 4]
    assert cap(caps) == 4
    assert caps.device.frees == 1


def test_a_model_of_which_not_even_one_row_fits_keeps_a_cap_of_one():
    assert cap(profile(fits=0)) == 1


def test_no_batch_above_the_maximum_is_tried():
    caps = profile(lambda rows: 0.01, most=6)
    assert tried(caps) == [1, 2, 4]
    assert cap(caps) == 4


@pytest.mark.parametrize(("most", "most_rows", "wanted"), [(1, None, 1), (16, 1, 1), (16, 4, 4), (2, 4, 2)])
def test_a_model_that_sets_its_own_batch_or_may_not_batch_is_not_measured(most, most_rows, wanted):
    caps = profile(most=most, most_rows=most_rows)
    assert caps.family.journal == []
    assert cap(caps) == wanted


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, 4),
        ({"width": 32, "height": 32}, 16),
        ({"width": 128}, 2),
        ({"width": 128, "height": 128}, 1),
        ({"width": 256, "height": 256}, 1),
        ({"guidance_scale": 1.0}, 8),
        ({"width": 32, "guidance_scale": 1.0}, 16),
    ],
)
def test_other_sizes_get_as_many_rows_as_make_the_same_work_and_guidance_doubles_it(changes, wanted):
    caps = profile(lambda rows: 0.01 * max(rows, 4))
    assert cap(caps, **changes) == wanted


def test_a_model_that_has_not_been_profiled_may_take_the_most():
    assert BatchLimits([CARD], 12).of(image_request(**TYPICAL)) == 12


def test_a_lane_is_lowered_alone_and_never_below_one():
    caps = profile(lambda rows: 0.01)
    request, other = image_request(**TYPICAL), image_request(**TYPICAL, width=128)
    caps.lower(request, 5)
    assert (caps.of(request), caps.of(other)) == (5, 8)
    caps.lower(request, 9)
    assert caps.of(request) == 5
    caps.lower(request, 0)
    assert caps.of(request) == 1


def test_decoding_that_does_not_fit_leaves_the_batch_of_steps_alone():
    caps = profile(lambda rows: 0.01)
    request = image_request(**TYPICAL)
    caps.lower(request, 2, DECODE)
    assert (caps.of(request), caps.of_decoding(request, 16)) == (16, 2)


def test_a_lowered_lane_recovers_after_a_while_and_more_slowly_if_that_was_too_early():
    caps = profile(lambda rows: 0.01)
    request = image_request(**TYPICAL)
    caps.lower(request, 4)
    succeed(caps, request, PATIENCE - 1)
    assert caps.of(request) == 4
    succeed(caps, request, 1)
    assert caps.of(request) == 8
    caps.lower(request, 4)
    succeed(caps, request, PATIENCE)
    assert caps.of(request) == 4, "this time it takes twice as long"
    succeed(caps, request, PATIENCE)
    assert caps.of(request) == 8
    succeed(caps, request, 2 * PATIENCE)
    assert caps.of(request) == 16


def succeed(caps, request, times):
    for _ in range(times):
        caps.note_success(request, DENOISE)


@pytest.mark.parametrize(("batching", "wanted"), [(True, 16), (False, 1)])
def test_the_largest_batch_of_all_is_one_where_no_model_batches(batching, wanted):
    assert BatchLimits([card(batching=batching)], 16).most == wanted
