"""Self-test of a press: load every offered model and the checker, and print JSON lines: what is tested, and its result.

Run as ``python -m worker.selftest`` in a separate process, because it imports torch and a broken library may crash it;
with ``--models-only`` the checker is left out.
"""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from common.errors import ModelUnavailableError, PressroomError, SettingsError
from common.models import catalog, files
from common.settings import EXIT_BAD_SETTINGS, Settings
from worker.checkers.factory import open_checker
from worker.engine.factory import open_engine
from worker.metering.meter import Meter

INSTALL = "Install the press dependencies: pip install 'pressroom[press]'."
CHOOSE_MODELS = (
    "Set PRESSROOM_MODELS to directories of diffusers models in safetensors format that are complete, "
    "or leave it out to use the starter model."
)


@dataclass(frozen=True)
class PartResult:
    """The result for one component; a failure includes advice."""

    part: str
    name: str
    ok: bool | None  # None as long as it is being tested
    fault: str | None = None
    remedy: str | None = None
    card: dict[str, Any] | None = None  # of a model that works, as a press offers it


def run_selftest(settings: Settings, *, models_only: bool = False) -> Iterator[PartResult]:
    """Test each component in turn; yield it when its test begins, and its result."""
    yield from _test_models(settings)
    if not models_only:
        yield from _test_part("checker", ", ".join(settings.checker), INSTALL, lambda: open_checker(settings).load())


def _test_models(settings: Settings) -> Iterator[PartResult]:
    for entry in settings.models or (str(catalog.STARTER),):
        alone = settings.model_copy(update={"models": (entry,), "default_model": None})
        yield from _test_part("model", entry, CHOOSE_MODELS, partial(_load_model, alone))
    try:
        catalog.load_offered_models(settings)
    except SettingsError as error:
        yield PartResult("model", settings.default_model or "", ok=False, fault=error.message, remedy=CHOOSE_MODELS)


def _load_model(settings: Settings) -> dict[str, Any]:
    """Load and try the only model of *settings*; return its card."""
    ((card, directory),) = catalog.load_offered_models(settings).values()
    if directory is not None:
        catalog.read_card(directory)
        files.check_model_directory(directory)  # before torch is imported: finding a damaged file is faster
    engine = open_engine(settings, Meter())
    card = engine.load()[card.name]
    engine.close()
    if card.fault is not None:
        raise ModelUnavailableError(card.fault)
    return card.model_dump(mode="json", exclude_none=True)


def _test_part(part: str, name: str, remedy: str, load: Callable[[], dict[str, Any] | None]) -> Iterator[PartResult]:
    yield PartResult(part, name, ok=None)
    try:
        card = load()
    except ImportError as error:
        yield PartResult(part, name, ok=False, fault=f"{error.name or error} cannot be imported.", remedy=INSTALL)
    except PressroomError as error:
        yield PartResult(part, name, ok=False, fault=error.message, remedy=remedy)
    else:
        yield PartResult(part, name, ok=True, card=card)


def main() -> int:
    """Print the results; return 0 if every component works, otherwise 1."""
    try:
        settings = Settings.from_environ()
    except SettingsError as error:
        print(error, file=sys.stderr)  # noqa: T201  (program output)
        return EXIT_BAD_SETTINGS
    fit = True
    for result in run_selftest(settings, models_only="--models-only" in sys.argv[1:]):
        fit = fit and result.ok is not False
        print(json.dumps(asdict(result), ensure_ascii=False), flush=True)  # noqa: T201  (program output)
    return 0 if fit else 1


if __name__ == "__main__":
    sys.exit(main())
