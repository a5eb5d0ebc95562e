import pytest

from api.runtime import model_cache
from api.runtime.model_cache import ModelCache
from common.db.engine import Database
from common.launcher.stack import prepare_database
from common.models import catalog
from common.models.catalog import PAINTED_CARD
from common.settings import Settings
from tests.support.engine.weights import lora


def test_registered_cards_are_read_back_in_order_and_brought_up_to_date(database):
    other = PAINTED_CARD.model_copy(update={"name": "other"})
    with database.transaction() as session:
        catalog.register_models(session, [other, PAINTED_CARD])
    with database.transaction() as session:
        catalog.register_models(session, [PAINTED_CARD, other.model_copy(update={"title": "New"})])
    with database.reading() as session:
        cards = catalog.load_cards(session)
    assert [(card.name, card.title) for card in cards] == [("painted", "Painted stand-in"), ("other", "New")]
    assert cards[0] == PAINTED_CARD


def test_models_are_registered_with_their_adapters_before_a_press_starts(tmp_path):
    (tmp_path / "adapters").mkdir()
    lora(tmp_path / "adapters" / "ink.safetensors")
    settings = Settings(home=tmp_path, models=("painted",), adapters=tmp_path / "adapters")
    prepare_database(settings)
    database = Database(settings.sqlalchemy_url)
    with database.reading() as session:
        (card,) = catalog.load_cards(session)
    database.close()
    assert [adapter.name for adapter in card.adapters] == ["ink"]


def test_the_api_reads_an_empty_catalogue_again_and_keeps_another(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_cache, "FRESH_SECONDS", 60.0)
    cache = ModelCache(sqlite_database)
    assert list(cache.cards()) == []
    with sqlite_database.transaction() as session:
        catalog.register_models(session, [PAINTED_CARD])
    cards = cache.cards()
    assert [card.name for card in cards] == [PAINTED_CARD.name]
    assert cache.cards() is cards


def test_the_api_reads_a_catalogue_again_once_it_is_no_longer_fresh(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_cache, "FRESH_SECONDS", 0.0)
    with sqlite_database.transaction() as session:
        catalog.register_models(session, [PAINTED_CARD])
    cache = ModelCache(sqlite_database)
    assert cache.cards() is not cache.cards()
