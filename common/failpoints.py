"""Named fault-injection points: a test makes a process die, hang or fail there; otherwise they do nothing.

``PRESSROOM_FAULTS`` says what happens where, separated by commas: ``claimed:kill`` at the first pass,
``uploaded:exit@3`` at the third, ``stepped:sleep=5@2-4`` at three in turn, ``generated:raise@1-`` at every one. Passes
are counted over all processes on one ``PRESSROOM_HOME``, so that a press that is started again need not die for ever.
"""

import os
import re
import signal
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from common.errors import PressroomError, StandInWarning

POINTS = {
    "submitting": "the api is about to commit a job",
    "submitted": "the api has committed a job, but not yet notified a press",
    "notified": "the api has notified a press, but not yet answered",
    "received": "a press has received a notification, but not yet claimed a job",
    "claimed": "a press has committed its claim",
    "stepped": "a press has finished a step of a job",
    "generated": "a press has generated all images of a job, but not stored any",
    "uploaded_first": "a press has stored the first image of a job",
    "uploaded": "a press has stored all images of a job, but not committed",
    "committed": "a press has committed the end of an attempt, but not acknowledged the notification",
    "feeding": "a clerk, or the api, has ordered prints of a campaign, but not committed",
    "settling": "a clerk has settled prints of a campaign, but not committed",
    "sending": "a clerk has claimed a webhook message, but not sent it",
    "sent": "a clerk has sent a webhook message, but not recorded the result",
}

FAILPOINT_PATTERN = re.compile(
    r"(?P<point>[a-z_]+):(?P<action>kill|exit|raise|sleep=(?P<seconds>\d+(?:\.\d+)?))"
    r"(?:@(?P<first>[1-9]\d*)(?P<more>-(?P<last>[1-9]\d*)?)?)?"
)
EXIT_STATUS = 70
"""Of a process that was told to ``exit`` (``EX_SOFTWARE`` of sysexits.h)."""


class InjectedError(PressroomError):
    """A fault was injected here, for a test."""

    retryable = True
    blames_press = True


@dataclass(frozen=True)
class Failpoint:
    """What happens at one point, and at which of its passes."""

    point: str
    action: str
    seconds: float
    first: int
    last: int | None

    def trigger(self) -> None:
        """Do it."""
        if self.action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.action == "exit":
            os._exit(EXIT_STATUS)
        if self.action == "raise":
            raise InjectedError
        time.sleep(self.seconds)


_armed: dict[str, Failpoint] = {}
_tokens = Path()


def failpoint(point: str) -> None:
    """Do what is to happen at *point*, which is nothing unless the settings name it."""
    if _armed:
        _reach_failpoint(point)


def parse_failpoints(words: Sequence[str]) -> dict[str, Failpoint]:
    """Return the faults that *words* name, by their points; raise ValueError, one clause, where they are wrong."""
    faults = {}
    for word in words:
        found = FAILPOINT_PATTERN.fullmatch(word)
        if found is None or found["point"] not in POINTS:
            raise ValueError(f"must be POINT:ACTION or POINT:ACTION@PASS, not {word!r}")
        first = int(found["first"] or 1)
        last = int(found["last"]) if found["last"] else None if found["more"] else first
        action = found["action"].partition("=")[0]
        faults[found["point"]] = Failpoint(found["point"], action, float(found["seconds"] or 0), first, last)
    return faults


def arm_failpoints(words: Sequence[str], folder: Path) -> None:
    """Switch on what *words* name, for the rest of this process, and say so; files in *folder* count the passes."""
    global _tokens  # noqa: PLW0603  (a point is called from everywhere, and must cost nothing when it is off)
    _armed.clear()
    _armed.update(parse_failpoints(words))
    if not _armed:
        return
    _tokens = folder
    folder.mkdir(parents=True, exist_ok=True)
    warnings.warn(f"This process injects faults for tests: {', '.join(words)}.", StandInWarning, stacklevel=2)


def _reach_failpoint(point: str) -> None:
    planned = _armed.get(point)
    if planned is None:
        return
    number = _count_pass(point)
    if number >= planned.first and (planned.last is None or number <= planned.last):
        planned.trigger()


def _count_pass(point: str) -> int:
    """Return how many have passed *point* by now, over all processes; no two get the same number."""
    for number in count(1):
        try:
            (_tokens / f"{point}.{number}").touch(exist_ok=False)
        except FileExistsError:
            continue
        break
    return number
