"""Which checker a press gets, by its settings."""

from common.settings import Settings
from common.settings.safety import NO_CHECKER, STAND_IN
from worker.checks.nothing import NoChecker
from worker.checks.open_nsfw import OpenNsfwChecker
from worker.checks.port import Checker, Thresholds
from worker.checks.scripted import ScriptedChecker


def open_checker(settings: Settings) -> Checker:
    """Return the checker of this press, not loaded yet: the one that is named, or the strictest of several."""
    if settings.checker == (STAND_IN,):
        return ScriptedChecker()
    if settings.checker == (NO_CHECKER,):
        return NoChecker()
    return OpenNsfwChecker(Thresholds(settings.safety_review_above, settings.safety_block_above))
