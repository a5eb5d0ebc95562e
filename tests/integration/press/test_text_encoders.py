"""The tokenizers that presses register, and prompts counted with them; on both databases."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from common.db.engine import Database
from common.models import catalog, text_encoders
from common.models.catalog import PAINTED, PAINTED_CARD
from common.models.prompt_counter import MOST_TOKENIZERS, PromptCounter
from common.models.prompt_tokens import PromptTokens
from common.models.text_encoders import TextEncoder
from common.tables import Model, Tokenizer
from tests.support.engine.word_tokenizers import build_word_encoder
from tests.support.press_fixture import PressFixture
from worker.engine.painted import PaintedFamily

SHORT, LONG = build_word_encoder(3, "a", "fox"), build_word_encoder(5, "a", "owl")


def register(database: Database, *encoders: TextEncoder, model: str = PAINTED) -> PromptCounter:
    with database.transaction() as session:
        catalog.register_models(session, [PAINTED_CARD.model_copy(update={"name": model})])
        text_encoders.register_encoders(session, {model: encoders})
    return PromptCounter(database)


def count_tokenizers(database: Database) -> int:
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(Tokenizer)) or 0


def test_a_press_registers_the_tokenizers_of_its_models_once(
    press_fixture: PressFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PaintedFamily, "list_encoders", lambda _self: [SHORT, SHORT])
    for _ in range(2):
        with press_fixture.press():
            pass
    assert count_tokenizers(press_fixture.database) == 1
    counter = PromptCounter(press_fixture.database)
    assert counter.count(PAINTED, "a fox in a hat") == PromptTokens(3, 2)


def test_a_card_is_as_older_versions_read_it(press_fixture: PressFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PaintedFamily, "list_encoders", lambda _self: [SHORT])
    with press_fixture.press(), press_fixture.database.reading() as session:
        assert set(session.get_one(Model, PAINTED).card) <= set(PAINTED_CARD.model_dump())


def test_a_press_that_registers_the_card_alone_leaves_the_encoders(database: Database) -> None:
    register(database, SHORT)
    with database.transaction() as session:
        catalog.register_models(session, [PAINTED_CARD])
    assert PromptCounter(database).count(PAINTED, "a fox in a hat") == PromptTokens(3, 2)


def test_the_encoder_that_reads_most_counts_and_all_encoders_tell_prompts_apart(database: Database) -> None:
    counter = register(database, SHORT, LONG)
    assert counter.count(PAINTED, "a b c d e f g") == PromptTokens(5, 2)
    read = counter.read(PAINTED, ["a b c d owl", "a b c d fox", "a b c d bee"])
    assert read is not None
    owl, fox, bee = (each.ids for each in read)
    assert owl != fox, "the second encoder knows the owl"
    assert fox == bee, "the first encoder knows the fox, but does not read as far"


def test_a_model_without_encoders_is_not_counted(database: Database) -> None:
    assert register(database).count(PAINTED, "a fox") is None
    assert PromptCounter(database).count("nowhere", "a fox") is None


def test_a_tokenizer_that_cannot_be_read_is_not_counted_and_fails_nothing(database: Database) -> None:
    counter = register(database, SHORT, TextEncoder.of('{"version": "9", "model": {"type": "Oracle"}}', 3))
    assert counter.count(PAINTED, "a fox") is None
    broken = register(database, TextEncoder("0" * 64, b"not compressed", 3), model="broken")
    assert broken.count("broken", "a fox") is None


def test_a_tokenizer_that_is_gone_fails_nothing(database: Database) -> None:
    counter = register(database, SHORT)
    with database.transaction() as session:
        for row in session.scalars(select(Tokenizer)):
            session.delete(row)
    assert counter.count(PAINTED, "a fox") is None


def test_many_threads_count_with_more_tokenizers_than_are_kept(sqlite_database: Database) -> None:
    names = [f"model-{number}" for number in range(MOST_TOKENIZERS + 3)]
    for number, name in enumerate(names):
        counter = register(sqlite_database, build_word_encoder(number + 1, name), model=name)
    with ThreadPoolExecutor(8) as pool:
        counted = [*pool.map(lambda number: counter.count(names[number % len(names)], "a b c"), range(200))]
    expected = [PromptTokens(min(3, limit), max(0, 3 - limit)) for limit in range(1, len(names) + 1)]
    assert counted == [expected[number % len(names)] for number in range(200)]
    assert len(counter._tokenizers) == MOST_TOKENIZERS
