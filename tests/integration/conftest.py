"""What integration tests may ask for besides: a house for presses."""

from pathlib import Path

import pytest

from common.database import Database
from common.settings import Settings
from common.storage import open_storage
from tests.house import House


@pytest.fixture
def house(database: Database, tmp_path: Path) -> House:
    """A database, files for storage, and a painted model whose every second costs one."""
    settings = Settings.from_environ(
        {
            "PRESSROOM_HOME": str(tmp_path / "home"),
            "PRESSROOM_MODELS": "painted",
            "PRESSROOM_BEAT_SECONDS": "0.1",
            "PRESSROOM_PAINTED_STEP_SECONDS": "0.005",
            "PRESSROOM_GPU_PRICE_PER_HOUR": "3600",
        }
    )
    return House(database, open_storage(settings), settings)
