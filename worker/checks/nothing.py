"""No checker at all: what an operator gets who has switched safety off, twice; every image is stamped with it."""

from typing import Any

from PIL import Image

from common.logs import get_logger
from common.settings.safety import NO_CHECKER
from common.states import Verdict
from worker.checks.port import Finding

log = get_logger(__name__)


class NoChecker:
    """Looks at nothing, and says so."""

    def load(self) -> None:
        """Log that nothing is checked."""
        log.warning("safety_off", reason="pictures leave without anything having looked at them")

    @property
    def policy(self) -> dict[str, Any]:
        """Return its name; there is nothing else to it."""
        return {"checker": NO_CHECKER, "digest": "", "thresholds": {}}

    def check(self, picture: Image.Image) -> Finding:
        """Return that nothing was found out."""
        return Finding(Verdict.UNCHECKED, {}, **self.policy)
