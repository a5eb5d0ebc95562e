"""Which checker a press gets, by its settings."""

from common.settings import Settings
from worker.checks.open_nsfw import OpenNsfwChecker
from worker.checks.port import Checker, Thresholds
from worker.checks.scripted import ScriptedChecker


def open_checker(settings: Settings) -> Checker:
    """Return the checker of this press, not loaded yet."""
    if settings.checker == "scripted":
        return ScriptedChecker()
    return OpenNsfwChecker(Thresholds(settings.safety_review_above, settings.safety_block_above))
