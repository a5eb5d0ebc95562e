"""Certificates for signing, current or long over."""

from datetime import timedelta
from pathlib import Path

import pytest

from common.clock import utcnow
from common.images import certificates
from common.images.certificates import CHAIN, KEY, Credentials


def make(folder: Path, *, days: int = 365, made: timedelta = timedelta()) -> Credentials:
    """Make a certificate of an authority of its own, as if *made* ago."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(certificates, "utcnow", lambda: utcnow() - made)
        certificates.create_chain(folder, "Trial", days=days)
    return Credentials(folder / CHAIN, folder / KEY)
