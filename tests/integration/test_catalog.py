from common import catalog
from common.catalog import PAINTED_CARD


def test_registered_cards_are_read_back_in_order_and_brought_up_to_date(database):
    other = PAINTED_CARD.model_copy(update={"name": "other"})
    with database.transaction() as session:
        catalog.register(session, [other, PAINTED_CARD])
    with database.transaction() as session:
        catalog.register(session, [PAINTED_CARD, other.model_copy(update={"title": "New"})])
    with database.reading() as session:
        cards = catalog.cards(session)
    assert [(card.name, card.title) for card in cards] == [("painted", "Painted stand-in"), ("other", "New")]
    assert cards[0] == PAINTED_CARD
