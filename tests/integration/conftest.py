"""Fixtures of integration tests: presses, tiny models, webhooks and campaigns."""

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from common.db.engine import Database
from common.settings import Settings
from tests.support.campaigns.campaign_fixture import CampaignFixture
from tests.support.press_fixture import PressFixture, open_press_fixture
from tests.support.servers.webhook_receivers import Receiver, receiving
from tests.support.webhook_fixture import WebhookFixture


@pytest.fixture
def press_fixture(database: Database, tmp_path: Path) -> PressFixture:
    """A database, files for storage, and a painted model whose every second costs one."""
    return open_press_fixture(database, tmp_path, PRESSROOM_GPU_PRICE_PER_HOUR="3600")


@pytest.fixture(scope="session")
def mixed_batches() -> ModuleType:
    """The module of that name; torch takes seconds to import, and collecting tests should not."""
    from tests.support.engine import mixed_batches  # noqa: PLC0415

    return mixed_batches


@pytest.fixture(scope="session")
def tiny_family(mixed_batches: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """Open a tiny model's family by its name, each once."""
    root = tmp_path_factory.mktemp("models")
    return functools.cache(lambda name: mixed_batches.open_family(name, root / name))


@pytest.fixture
def webhook_fixture(database: Database) -> WebhookFixture:
    """A database with webhooks, and a clock that can be set forward."""
    return WebhookFixture(database)


@pytest.fixture
def campaign_fixture(database: Database, tmp_path: Path) -> Iterator[CampaignFixture]:
    """A database with campaigns, a clerk that is called by hand, and a press that prints at a fixed price."""
    opened = CampaignFixture(database, Settings.from_environ({"PRESSROOM_HOME": str(tmp_path / "home")}))
    yield opened
    opened.check()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that takes everything."""
    with receiving() as started:
        yield started
