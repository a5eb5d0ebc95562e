"""Points where a process breaks on purpose: only those that are named, only at the passes that are named."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from common import failpoints
from common.errors import SettingsError, StandInWarning
from common.failpoints import Failpoint, InjectedError, failpoint, parse_failpoints
from common.settings import Settings


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    failpoints.arm_failpoints((), Path())


def arm(folder: Path, *words: str) -> None:
    with pytest.warns(StandInWarning, match="injects faults"):
        failpoints.arm_failpoints(words, folder)


def breaks(point: str) -> bool:
    try:
        failpoint(point)
    except InjectedError:
        return True
    return False


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        ("claimed:kill", Failpoint("claimed", "kill", 0, 1, 1)),
        ("claimed:exit@3", Failpoint("claimed", "exit", 0, 3, 3)),
        ("stepped:sleep=0.5@2-4", Failpoint("stepped", "sleep", 0.5, 2, 4)),
        ("received:raise@1-", Failpoint("received", "raise", 0, 1, None)),
    ],
)
def test_a_failpoint_setting_names_place_action_and_pass(word: str, meaning: Failpoint) -> None:
    assert parse_failpoints([word]) == {meaning.point: meaning}


@pytest.mark.parametrize(
    "word", ["claimed", "nowhere:kill", "claimed:burn", "claimed:kill@0", "claimed:sleep", "é:kill"]
)
def test_an_invalid_failpoint_setting_is_refused(word: str) -> None:
    with pytest.raises(SettingsError, match="PRESSROOM_FAULTS must be POINT:ACTION"):
        Settings.from_environ({"PRESSROOM_MODELS": "painted", "PRESSROOM_FAULTS": word})


def test_failpoints_are_refused_with_a_real_model() -> None:
    with pytest.raises(SettingsError, match="PRESSROOM_FAULTS is for tests"):
        Settings.from_environ({"PRESSROOM_FAULTS": "claimed:kill"})


def test_a_failpoint_that_is_not_set_does_nothing(tmp_path: Path) -> None:
    assert not breaks("claimed")
    arm(tmp_path, "claimed:raise")
    assert not breaks("received")
    assert breaks("claimed")


def test_passes_are_counted_over_all_processes(tmp_path: Path) -> None:
    arm(tmp_path, "claimed:raise@2-3")
    assert [breaks("claimed") for _ in range(2)] == [False, True]
    arm(tmp_path, "claimed:raise@2-3")  # as another process would
    assert [breaks("claimed") for _ in range(2)] == [True, False]


def test_every_failpoint_is_called_somewhere() -> None:
    folders = ("api", "worker", "common")
    called = "".join(path.read_text() for folder in folders for path in Path(folder).rglob("*.py"))
    assert [point for point in failpoints.POINTS if f'failpoint("{point}")' not in called] == []
