"""Build the safety checker that the settings name."""

from common.errors import SafetyUnavailableError
from common.safety import nsfwjs_package
from common.settings import Settings
from common.settings.safety import NO_CHECKER, STAND_IN
from worker.checkers.interface import Checker, Thresholds
from worker.checkers.open_nsfw import OpenNsfwChecker
from worker.checkers.scripted import ScriptedChecker
from worker.checkers.wrappers import NoChecker, StrictestChecker


def open_checker(settings: Settings) -> Checker:
    """Return the configured checker, not yet loaded; several checkers are combined and the strictest decides."""
    if settings.checker == (STAND_IN,):
        return ScriptedChecker()
    if settings.checker == (NO_CHECKER,):
        return NoChecker()
    checkers = [_open_single_checker(word, settings) for word in settings.checker]
    return checkers[0] if len(checkers) == 1 else StrictestChecker(checkers)


def _open_single_checker(word: str, settings: Settings) -> Checker:
    thresholds = Thresholds(settings.safety_review_above, settings.safety_block_above)
    return OpenNsfwChecker(thresholds) if word == "open_nsfw" else _open_network_checker(word, settings, thresholds)


def _open_network_checker(word: str, settings: Settings, thresholds: Thresholds) -> Checker:
    try:  # these import torch, which takes seconds and which a painted press does not need
        from worker.checkers.classifier import ClassifierNetwork  # noqa: PLC0415
        from worker.checkers.model_directories import CheckerDirectory  # noqa: PLC0415
        from worker.checkers.network import Network, NetworkChecker  # noqa: PLC0415
        from worker.checkers.nsfwjs import NsfwjsNetwork  # noqa: PLC0415
        from worker.checkers.sd_checker import SdCheckerNetwork  # noqa: PLC0415
        from worker.torch_device import Device  # noqa: PLC0415
    except ImportError as error:
        raise SafetyUnavailableError(f"The checker {word} needs {error.name}; install pressroom[press].") from error
    kind, _, place = word.partition(":")
    network: Network
    if kind == "nsfwjs":
        network = NsfwjsNetwork(nsfwjs_package.locate_weights(settings.home))
    elif kind == "classifier":
        network = ClassifierNetwork(CheckerDirectory.parse(place))
    else:
        network = SdCheckerNetwork(CheckerDirectory.parse(place))
    return NetworkChecker(network, thresholds, Device(settings.device).torch)
