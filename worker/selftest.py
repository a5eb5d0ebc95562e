"""Whether this machine can print: loads every offered model and the checker, and says how each fared, one JSON a line.

Run as ``python -m worker.selftest``, a process of its own: it brings torch in, and a broken library takes only it down.
"""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial

from common.errors import PressroomError, SettingsError
from common.models import catalog, files
from common.settings import EXIT_BAD_SETTINGS, Settings
from worker.checkers.factory import open_checker
from worker.engine.factory import open_engine
from worker.metering.meter import Meter

INSTALL = "Install the packages of a press: pip install 'pressroom[press]'."
CHOOSE_MODELS = (
    "Set PRESSROOM_MODELS to directories of diffusers models in safetensors format that are complete, "
    "or leave it out to use the starter model."
)


@dataclass(frozen=True)
class Result:
    """How one part fared; a fault comes with what to do about it."""

    part: str
    name: str
    ok: bool
    fault: str | None = None
    remedy: str | None = None


def examine(settings: Settings) -> Iterator[Result]:
    """Try each part in turn and yield how it fared."""
    for entry in settings.models or (str(catalog.STARTER),):
        alone = settings.model_copy(update={"models": (entry,), "default_model": None})
        yield _try("model", entry, CHOOSE_MODELS, partial(_load_models, alone))
    try:
        catalog.offered(settings)
    except SettingsError as error:
        yield Result("model", settings.default_model or "", ok=False, fault=error.message, remedy=CHOOSE_MODELS)
    except PressroomError:
        pass  # said above, of the model that is at fault
    yield _try("checker", ", ".join(settings.checker), INSTALL, lambda: open_checker(settings).load())


def _load_models(settings: Settings) -> None:
    for _, directory in catalog.offered(settings).values():
        if directory is not None:
            files.admit(directory)  # before torch is imported, which takes longer than to find a damaged file
    open_engine(settings, Meter()).load()


def _try(part: str, name: str, remedy: str, load: Callable[[], None]) -> Result:
    try:
        load()
    except ImportError as error:
        return Result(part, name, ok=False, fault=f"{error.name or error} cannot be imported.", remedy=INSTALL)
    except PressroomError as error:
        return Result(part, name, ok=False, fault=error.message, remedy=remedy)
    return Result(part, name, ok=True)


def main() -> int:
    """Print the results; return 0 if every part is fit, else 1."""
    try:
        settings = Settings.from_environ()
    except SettingsError as error:
        print(error, file=sys.stderr)  # noqa: T201  (a program's own words)
        return EXIT_BAD_SETTINGS
    fit = True
    for result in examine(settings):
        fit = fit and result.ok
        print(json.dumps(asdict(result), ensure_ascii=False), flush=True)  # noqa: T201  (its output is its purpose)
    return 0 if fit else 1


if __name__ == "__main__":
    sys.exit(main())
