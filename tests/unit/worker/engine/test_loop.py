import gc
import math
import threading
import weakref
from contextlib import suppress

import pytest
from hypothesis import given, settings, strategies as st

from common.errors import (
    DrainingError,
    GenerationError,
    InterruptedAttemptError,
    ModelUnavailableError,
    OutOfMemoryError,
    WrongSizeError,
)
from common.states.jobs import Priority
from tests.support.engine.engine_fixture import (
    DECODE_SECONDS,
    ENCODE_SECONDS,
    Background,
    EngineFixture,
    FakeFamily,
    Recorder,
)
from worker.engine.batch_selection import PATIENCE
from worker.engine.model_cache import LoadedModel

AHEAD = pytest.mark.parametrize("ahead", [0, 1])
"""A device that works at once, and one with work queued ahead."""


def seeds(*numbers, **options):
    """Return the options of a request for each seed."""
    return [{"seed": number} | options for number in numbers]


@AHEAD
def test_a_request_alone_is_encoded_stepped_decoded_and_charged_for_all_of_it(ahead):
    with EngineFixture(ahead=ahead) as shop:
        watch = Recorder()
        ticket = shop.create_ticket(seed=7, steps=3, watch=watch)
        ((picture,),) = shop.print(ticket)
        assert shop.family.journal == [("encode", [7]), *[("denoise", [7])] * 3, ("decode", [7])]
        assert picture.gpu_seconds == ENCODE_SECONDS + 3 + DECODE_SECONDS == watch.spent.gpu_seconds
        assert watch.spent.phases == {"encode": ENCODE_SECONDS, "denoise": 3.0, "decode": DECODE_SECONDS}
        assert watch.heard[-1][0] == 3
        assert [number for number, _ in watch.heard] == sorted(number for number, _ in watch.heard)
        shop.assert_books_balance(ticket)


def test_pictures_come_in_the_order_of_their_seeds(tmp_path):
    with EngineFixture() as shop:
        (pictures,) = shop.print(shop.create_ticket(seed=5, num_images=3))
        assert [picture.seed for picture in pictures] == [5, 6, 7]
        assert shop.family.journal[0] == ("encode", [5, 6, 7]), "once for all of them"


def test_a_request_larger_than_a_batch_is_printed():
    with EngineFixture(most_rows=2) as shop:
        ticket = shop.create_ticket(seed=0, num_images=5, steps=3)
        (pictures,) = shop.print(ticket)
        assert len(pictures) == 5
        assert max(len(rows) for phase, rows in shop.family.journal if phase != "encode") == 2
        shop.assert_books_balance(ticket)


@AHEAD
def test_rows_join_and_leave_between_passes_each_by_its_own_steps(ahead):
    with EngineFixture(ahead=ahead) as shop:
        first, second, late = (shop.create_ticket(seed=seed, steps=steps) for seed, steps in [(1, 6), (2, 3), (3, 2)])
        shop.at_pass(3, lambda: shop.take(late))
        shop.print(first, second)
        late.wait()
        assert shop.family.steps(1) == [0, 1, 2, 3, 4, 5]
        assert shop.family.steps(2) == [0, 1, 2]
        assert shop.family.steps(3) == [4, 5]
        assert ("decode", [1, 3]) in shop.family.journal, "those that are done together are decoded together"
        shop.assert_books_balance(first, second, late)


def test_shared_seconds_are_charged_in_equal_shares():
    with EngineFixture() as shop:
        first, second = shop.create_ticket(seed=1, steps=4), shop.create_ticket(seed=2, steps=2)
        shop.print(first, second)
        assert first.account.spent.phases == {"encode": ENCODE_SECONDS, "denoise": 2 / 2 + 2, "decode": DECODE_SECONDS}
        assert second.account.spent.phases == {"encode": ENCODE_SECONDS, "denoise": 2 / 2, "decode": DECODE_SECONDS}


def test_two_lanes_take_turns_pass_by_pass():
    with EngineFixture() as shop:
        shop.print(shop.create_ticket(seed=1, steps=4), shop.create_ticket(seed=2, steps=4, width=128))
        assert (shop.family.steps(1), shop.family.steps(2)) == ([0, 2, 4, 6], [1, 3, 5, 7])


def test_an_interactive_request_goes_before_bulk_ones_that_came_earlier():
    with EngineFixture(most_rows=2) as shop:
        bulk = [shop.create_ticket(**each, priority=Priority.BULK) for each in seeds(1, 2, 3, steps=4)]
        urgent = shop.create_ticket(seed=9, steps=4)
        shop.at_pass(1, lambda: shop.take(urgent))
        shop.print(*bulk)
        urgent.wait()
        assert shop.family.steps(9) == [2, 3, 4, 5], "from the pass after it came, without a pause"


def test_bulk_requests_of_another_lane_are_not_starved():
    with EngineFixture() as shop:
        bulk = shop.create_ticket(seed=1, steps=1, width=128, priority=Priority.BULK)
        shop.print(bulk, shop.create_ticket(seed=2, steps=3 * PATIENCE[Priority.BULK]))
        (taken,) = shop.family.steps(1)
        assert taken <= PATIENCE[Priority.BULK] + 1


@AHEAD
@pytest.mark.parametrize("error", [InterruptedAttemptError, DrainingError])
def test_a_request_stops_where_its_observer_raises_with_all_seconds_booked(ahead, error):
    with EngineFixture(ahead=ahead) as shop:
        watch = Recorder(stop_at=2, error=error())
        stopped, other = shop.create_ticket(seed=1, steps=9, watch=watch), shop.create_ticket(seed=2, steps=9)
        shop.take(stopped, other)
        with pytest.raises(error):
            stopped.wait()
        assert len(other.wait()) == 1
        assert len(shop.family.steps(1)) <= 2 + ahead
        assert watch.spent == stopped.account.spent
        assert shop.family.drawings[0].is_closed
        shop.assert_books_balance(stopped, other)


def test_a_waiting_request_can_be_stopped_too():
    with EngineFixture(most_rows=1) as shop:
        watch = Recorder()
        busy, waiting = (
            shop.create_ticket(seed=1, steps=20),
            shop.create_ticket(seed=2, priority=Priority.BULK, watch=watch),
        )
        shop.at_pass(3, lambda: setattr(watch, "error", InterruptedAttemptError()))
        shop.take(busy, waiting)
        with pytest.raises(InterruptedAttemptError):
            waiting.wait()
        assert len(watch.heard) <= 6, "it did not wait for its turn"
        assert shop.family.steps(2) == []
        assert waiting.account.spent.gpu_seconds == 0
        busy.wait()


def test_a_row_that_fails_among_others_fails_alone():
    with EngineFixture() as shop:
        tickets = [shop.create_ticket(**each) for each in seeds(1, 2, 3, 4, steps=3)]
        shop.family.faults["denoise", 3] = ValueError("numbers")
        shop.take(*tickets)
        with pytest.raises(GenerationError, match="ValueError"):
            tickets[2].wait()
        assert [len(ticket.wait()) for ticket in (tickets[0], tickets[1], tickets[3])] == [1, 1, 1]
        assert [len(shop.family.steps(seed)) for seed in (1, 2, 4)] == [3, 3, 3]
        assert shop.family.drawings[2].is_closed
        shop.assert_books_balance(*tickets)


@pytest.mark.parametrize("phase", ["encode", "decode"])
def test_a_prompt_that_cannot_be_encoded_or_a_picture_that_cannot_be_decoded_fails_alone(phase):
    with EngineFixture() as shop:
        tickets = [shop.create_ticket(**each) for each in seeds(1, 2, 3, steps=2)]
        shop.family.faults[phase, 2] = ValueError("words")
        shop.take(*tickets)
        with pytest.raises(GenerationError):
            tickets[1].wait()
        assert [len(ticket.wait()) for ticket in (tickets[0], tickets[2])] == [1, 1]
        shop.assert_books_balance(*tickets)


def test_pictures_of_one_request_fail_with_it_at_once():
    with EngineFixture() as shop:
        ticket = shop.create_ticket(seed=1, num_images=4, steps=3)
        shop.family.faults["denoise", 2] = ValueError("numbers")
        shop.take(ticket)
        with pytest.raises(GenerationError):
            ticket.wait()
        assert shop.device.told == 8.0 + ENCODE_SECONDS + 1.0, "a load, and one pass that was not made again"
        assert all(drawing.is_closed for drawing in shop.family.drawings)


@AHEAD
def test_out_of_memory_halves_the_batch_and_every_request_is_printed(ahead):
    with EngineFixture(ahead=ahead, fits=3) as shop:
        tickets = [shop.create_ticket(**each) for each in seeds(*range(8), steps=3)]
        assert [len(pictures) for pictures in shop.print(*tickets)] == [1] * 8
        assert shop.caps.of(tickets[0].request) == 2
        assert shop.caps.of(shop.create_ticket(width=128).request) == 16
        assert shop.device.frees >= 2
        shop.assert_books_balance(*tickets)


def test_a_decoder_out_of_memory_saves_some_first_and_the_batch_of_steps_stays_large():
    with EngineFixture(most_rows=8, economies=2, decodes=lambda level: (2, 4, 8)[level]) as shop:
        tickets = [shop.create_ticket(**each) for each in seeds(*range(8), steps=3)]
        assert [len(pictures) for pictures in shop.print(*tickets)] == [1] * 8
        request = tickets[0].request
        assert (shop.family.level, shop.caps.of(request), shop.caps.of_decoding(request, 8)) == (2, 8, 8)


def test_a_decoder_that_cannot_save_memory_decodes_fewer_at_once_and_the_batch_of_steps_stays_large():
    with EngineFixture(most_rows=8, decodes=lambda level: 2) as shop:
        tickets = [shop.create_ticket(**each) for each in seeds(*range(8), steps=3)]
        shop.print(*tickets)
        assert (shop.caps.of(tickets[0].request), shop.caps.of_decoding(tickets[0].request, 8)) == (8, 2)
        shop.family.journal.clear()
        shop.print(*[shop.create_ticket(**each) for each in seeds(*range(8), steps=3)])
        assert [len(rows) for phase, rows in shop.family.journal if phase == "decode"] == [2] * 4
        assert {len(rows) for phase, rows in shop.family.journal if phase == "denoise"} == {8}


def test_another_size_than_was_asked_for_is_an_error_that_names_both():
    with EngineFixture(delivers=(128, 64)) as shop:
        with pytest.raises(WrongSizeError, match="128 × 64 pixels instead of 64 × 32"):
            shop.print(shop.create_ticket(width=64, height=32))
        assert len(shop.print(shop.create_ticket(width=128, height=64))[0]) == 1


def test_an_errand_is_run_by_the_engines_thread_and_returns_or_raises_to_its_caller():
    with EngineFixture() as shop:
        assert shop.loop.run(lambda: threading.current_thread().name) == "engine"
        with pytest.raises(GenerationError, match="ZeroDivisionError"):
            shop.loop.run(lambda: 1 / 0)
    with pytest.raises(DrainingError):
        shop.loop.run(lambda: None)


def test_a_single_row_that_does_not_fit_fails_as_out_of_memory_and_the_next_is_unharmed():
    with EngineFixture(fits=0) as shop:
        tickets = [shop.create_ticket(**each) for each in seeds(1, 2)]
        shop.take(*tickets)
        for ticket in tickets:
            with pytest.raises(OutOfMemoryError):
                ticket.wait()
        shop.family.fits = 1
        assert len(shop.print(shop.create_ticket(seed=3))[0]) == 1


def test_a_row_that_does_not_fit_beside_another_model_is_stepped_without_it():
    with EngineFixture("a", "b") as shop:
        shop.print(shop.create_ticket(model="b"))

        def run_out(phase, seeds):
            if phase == "denoise" and len(shop.residents._models) > 1:
                raise MemoryError

        shop.families["a"].before = run_out
        ticket = shop.create_ticket(model="a")
        assert [len(pictures) for pictures in shop.print(ticket)] == [1]
        assert list(shop.residents._models) == ["a"]
        assert len(shop.print(shop.create_ticket(model="b"))[0]) == 1


def test_a_step_that_fails_half_way_leaves_no_row_a_step_short_or_over():
    class HalfWay(FakeFamily):
        def step(self, drawings):
            if len(drawings) > 1:
                drawings[0].done += 1
                raise ValueError
            super().step(drawings)

    with EngineFixture(load=lambda *_: LoadedModel(family)) as shop:
        family = HalfWay(shop.device)
        tickets = [shop.create_ticket(**each) for each in seeds(1, 2, steps=3)]
        assert [len(pictures) for pictures in shop.print(*tickets)] == [1, 1]
        assert [drawing.done for drawing in family.drawings] == [3, 3]


def test_a_picture_that_needs_no_step_is_decoded_even_beyond_the_batch():
    class Finished(FakeFamily):
        def begin(self, request, seeds, inputs):
            begun = super().begin(request, seeds, inputs)
            for drawing in begun:
                drawing.total = 0
            return begun

    with EngineFixture(load=lambda *_: LoadedModel(Finished(shop.device, most_rows=2))) as shop:
        assert [len(pictures) for pictures in shop.print(shop.create_ticket(num_images=5))] == [5]


def test_a_model_that_cannot_be_loaded_fails_only_its_own_requests():
    def load(card, directory):
        if card.name == "broken":
            raise ModelUnavailableError("It is broken.")
        return LoadedModel(shop.families[card.name])

    with EngineFixture("fake", "broken", load=load) as shop:
        good, bad, worse = (shop.create_ticket(model=model) for model in ("fake", "broken", "broken"))
        shop.take(good, bad, worse)
        errors = []
        for ticket in (bad, worse):
            with pytest.raises(ModelUnavailableError, match="It is broken") as caught:
                ticket.wait()
            errors.append(caught.value)
        assert errors[0] is not errors[1], "each raises its own"
        assert len(good.wait()) == 1


@AHEAD
def test_loading_between_passes_is_charged_to_nobody(ahead):
    with EngineFixture("fake", "other", ahead=ahead) as shop:
        tickets = [shop.create_ticket(seed=1, steps=5), shop.create_ticket(seed=2, model="other")]
        shop.at_pass(2, lambda: shop.take(tickets[1]))
        shop.take(tickets[0])
        for ticket in tickets:
            ticket.wait()
        assert shop.meter.snapshot()["overhead"]["load"] == 16.0
        shop.assert_books_balance(*tickets)


@AHEAD
def test_closing_ends_open_requests_as_draining_with_all_seconds_booked(ahead):
    with EngineFixture(ahead=ahead) as shop:
        tickets = [
            shop.create_ticket(seed=1, steps=1000),
            shop.create_ticket(seed=2, width=128, priority=Priority.BULK, steps=1000),
        ]
        closing = []
        shop.at_pass(5, lambda: closing.append(Background(shop.loop.close)))
        shop.take(*tickets)
        for ticket in tickets:
            with pytest.raises(DrainingError):
                ticket.wait()
            assert ticket.watch.spent == ticket.account.spent
        closing[0].result()
        shop.assert_books_balance(*tickets)
        with pytest.raises(DrainingError):
            shop.take(shop.create_ticket())


def test_an_engine_that_was_closed_at_work_no_longer_needs_to_feed_its_watchdog():
    with EngineFixture() as shop:
        ticket = shop.create_ticket(steps=1000)
        shop.at_pass(5, lambda: Background(shop.loop.close))
        shop.take(ticket)
        with pytest.raises(DrainingError):
            ticket.wait()
        assert shop.loop._watchdog._fed_at == -math.inf


def test_an_engine_that_never_worked_closes_at_once():
    with EngineFixture() as shop:
        shop.loop.close()
        shop.loop.close()


def test_an_engine_whose_loop_fails_exits_the_process_and_releases_waiters():
    class Broken(Recorder):
        def step(self, number, spent):
            raise KeyError("a bug")

    with EngineFixture() as shop:
        tickets = [shop.create_ticket(seed=1, watch=Broken()), shop.create_ticket(seed=2)]
        shop.take(*tickets)
        for ticket in tickets:
            with pytest.raises(DrainingError):
                ticket.wait()
        assert shop.left == [70]
        with pytest.raises(DrainingError):
            shop.take(shop.create_ticket())


def test_lanes_have_room_until_their_batch_is_full():
    with EngineFixture(most_rows=2) as shop:
        full = [shop.create_ticket(seed=1, num_images=2), shop.create_ticket(seed=3, width=128)]
        seen = []
        shop.at_pass(0, lambda: seen.append(set(shop.loop.lanes_with_room())))
        shop.print(*full)
        assert seen == [{full[1].lane}]
        assert shop.loop.lanes_with_room() == []


@pytest.mark.parametrize("fault", [None, ValueError("numbers"), "stopped"])
def test_an_ended_ticket_leaks_nothing_even_without_garbage_collection(fault):
    with EngineFixture() as shop:
        ticket = shop.create_ticket(
            seed=1, watch=Recorder(error=InterruptedAttemptError() if fault == "stopped" else None)
        )
        if isinstance(fault, Exception):
            shop.family.faults["denoise", 1] = fault
        company = shop.create_ticket(seed=2, steps=30)
        gc.disable()
        try:
            shop.take(ticket, company)
            with suppress(GenerationError, InterruptedAttemptError):
                ticket.wait()
            company.wait()
            shop.print(shop.create_ticket(seed=3))  # so that the engine's thread has nothing more in its hands
            drawings = [weakref.ref(drawing) for drawing in shop.family.drawings[:2]]
            shop.family.drawings.clear()
            reference = weakref.ref(ticket)
            del ticket
            assert reference() is None
            assert [drawing() for drawing in drawings] == [None, None]
        finally:
            gc.enable()


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "comes": st.integers(0, 25),  # the pass before which it is handed in
                "model": st.sampled_from(["fake", "other"]),
                "width": st.sampled_from([64, 128]),
                "steps": st.integers(1, 8),
                "num_images": st.integers(1, 3),
                "priority": st.sampled_from(list(Priority)),
                "stops": st.none() | st.integers(0, 8),
                "fault": st.none() | st.sampled_from(["encode", "denoise", "decode"]),
            }
        ),
        min_size=1,
        max_size=10,
    ),
    st.integers(0, 1),
    st.sampled_from([1, 2, 3, 100]),
)
def test_any_mix_of_arrivals_stops_and_failures_ends_with_balanced_seconds(plans, ahead, fits):
    with EngineFixture("fake", "other", ahead=ahead, fits=fits, most_rows=4) as shop:
        tickets, waiting = [], sorted(plans, key=lambda plan: plan["comes"])
        passes, one_at_a_time = iter(range(10_000)), threading.Lock()

        def arrive(number):
            with one_at_a_time:
                while waiting and waiting[0]["comes"] <= number:
                    tickets.append(submit_ticket(shop, len(tickets), waiting.pop(0)))

        for family in shop.families.values():
            family.before = lambda phase, seeds: arrive(next(passes))
        for place, plan in enumerate(sorted(plans, key=lambda plan: plan["comes"])):
            arrive(plan["comes"] if len(tickets) <= place else -1)  # if the engine is idle it counts no passes
            check_end(*tickets[place])
        shop.assert_books_balance(*(ticket for ticket, _ in tickets))
        for family in shop.families.values():
            assert all(drawing.is_closed for drawing in family.drawings)


def submit_ticket(shop, number, plan):
    request = {name: plan[name] for name in ("model", "width", "steps", "num_images", "priority")}
    watch = Recorder(stop_at=plan["stops"], error=None if plan["stops"] is None else InterruptedAttemptError())
    ticket = shop.create_ticket(seed=10 * number, watch=watch, **request)
    if plan["fault"] is not None:
        shop.families[plan["model"]].faults[plan["fault"], 10 * number] = ValueError("planned")
    shop.take(ticket)
    return ticket, plan


def check_end(ticket, plan):
    number = len(ticket.rows)
    try:
        assert len(ticket.wait()) == number == plan["num_images"]
        assert plan["fault"] is None
        assert plan["stops"] is None or plan["stops"] > plan["steps"]
    except InterruptedAttemptError:
        assert plan["stops"] is not None
    except GenerationError:
        assert plan["fault"] is not None
    assert ticket.watch.spent == ticket.account.spent
    assert ticket.open_passes == 0
