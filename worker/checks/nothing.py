"""No checker at all: what an operator gets who has switched safety off, twice; every image is stamped with it."""

import warnings
from typing import Any

from PIL import Image

from common.errors import StandInWarning
from common.settings.safety import NO_CHECKER
from common.tables.states import Verdict
from worker.checks.port import Finding


class NoChecker:
    """Looks at nothing, and says so."""

    def load(self) -> None:
        """Warn that nothing is checked."""
        warnings.warn("Safety is off: pictures leave without anything having looked.", StandInWarning, stacklevel=2)

    @property
    def policy(self) -> dict[str, Any]:
        """Return its name; there is nothing else to it."""
        return {"checker": NO_CHECKER, "digest": "", "thresholds": {}}

    def check(self, picture: Image.Image) -> Finding:
        """Return that nothing was found out."""
        return Finding(Verdict.UNCHECKED, {}, **self.policy)
