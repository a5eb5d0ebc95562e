"""Places of a shared resource: in total, for each owner, and given back exactly once."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from api.web.errors import RefusedError
from api.web.owner_places import OwnerPlaces

BUSY = ("too_many_uploads", "Wait until one has ended.")


def test_an_owner_takes_no_more_than_its_share() -> None:
    places = OwnerPlaces(4, 2)
    with places.take("a", *BUSY), places.take("a", *BUSY), places.take("b", *BUSY):
        with pytest.raises(RefusedError), places.take("a", *BUSY):
            pass
        with places.take("b", *BUSY):
            pass


def test_all_owners_together_take_no_more_than_the_total() -> None:
    places = OwnerPlaces(2, 1)
    with places.take("a", *BUSY), places.take("b", *BUSY), pytest.raises(RefusedError), places.take("c", *BUSY):
        pass


def test_a_refusal_carries_the_code_of_its_resource() -> None:
    places = OwnerPlaces(1, 1)
    with places.take("a", *BUSY), pytest.raises(RefusedError) as refused:
        places.take("b", *BUSY)
    assert (refused.value.code, refused.value.message) == BUSY


def test_a_place_is_given_back_when_its_block_fails() -> None:
    places = OwnerPlaces(1, 1)
    with pytest.raises(KeyError), places.take("a", *BUSY):
        raise KeyError
    with places.take("a", *BUSY):
        pass


def test_a_place_given_back_twice_counts_once() -> None:
    places = OwnerPlaces(2, 2)
    first, second = places.try_take("a"), places.try_take("a")
    assert first is not None
    assert second is not None
    first()
    first()
    third = places.try_take("a")
    assert third is not None
    assert places.try_take("a") is None


def test_owners_without_a_place_are_forgotten() -> None:
    places = OwnerPlaces(1, 1)
    assert places.try_take("holder") is not None
    for number in range(100):
        with pytest.raises(RefusedError), places.take(f"owner {number}", *BUSY):
            pass
    assert len(places._held) == 1


def test_a_share_must_fit_into_the_total() -> None:
    for total, share in ((-1, 0), (1, 2), (2, -1)):
        with pytest.raises(ValueError, match="share"):
            OwnerPlaces(total, share)


@pytest.mark.parametrize(("total", "fraction", "held"), [(8, 0.25, 2), (8, 1, 8), (3, 0.25, 1), (0, 1, 0)])
def test_an_owner_holds_a_fraction_of_the_places_and_at_least_one(total: int, fraction: float, held: int) -> None:
    places = OwnerPlaces.divide(total, fraction)
    assert sum(places.try_take("a") is not None for _ in range(10)) == held


def test_threads_at_once_take_exactly_the_places_there_are() -> None:
    places, barrier = OwnerPlaces(5, 3), Barrier(16)

    def take_one(number: int) -> bool:
        barrier.wait()
        return places.try_take("ab"[number % 2]) is not None

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(take_one, range(16))) == 5
