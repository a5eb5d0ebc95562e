"""Lists of recipients in the database: what a reader that dies leaves behind, and how little it keeps others back."""

import io
import threading
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from common.campaigns import deletion, queries
from common.campaigns.recipients import importing, lists
from common.campaigns.recipients.formats.csv_rows import CsvSheet
from common.campaigns.recipients.importing import CHUNK
from common.campaigns.recipients.lists import LoadingList
from common.db.clock import now_sql
from common.db.engine import Database
from common.db.ids import create_id
from common.errors import IllegalTransitionError
from common.states.campaigns import CampaignStatus, ListStatus, PrintStatus
from common.tables import Campaign, Print, Recipient, RecipientList, RejectedRow
from tests.support.campaigns.campaign_fixture import SALT, spec

_S = CampaignStatus


def make(database: Database, status: CampaignStatus = _S.DRAFT) -> UUID:
    with database.transaction() as session:
        row = Campaign(
            owner="ada",
            name="cards",
            status=status,
            spec=spec().model_dump(mode="json"),
            salt=SALT,
            budget=Decimal(1),
            currency="USD",
        )
        session.add(row)
        session.flush()
        return row.id


def begin(database: Database, campaign_id: UUID, *, replaces: bool = True) -> LoadingList:
    with database.transaction() as session:
        return lists.open_list(session, session.get_one(Campaign, campaign_id, with_for_update=True), replaces=replaces)


def fill(database: Database, loading: LoadingList, rows: int, prefix: str = "r") -> importing.ImportResult:
    text = "recipient_id,name\n" + "".join(f"{prefix}{number},n{number}\n" for number in range(rows))
    return importing.import_rows(database, loading, CsvSheet(io.BytesIO(text.encode())), lambda _: None, 10**6)


def finish(database: Database, loading: LoadingList, done: importing.ImportResult) -> None:
    with database.transaction() as session:
        campaign = session.get_one(Campaign, loading.campaign_id, with_for_update=True)
        lists.finish_list(session, campaign, loading, done.contents, done.digest)


def take(database: Database, campaign_id: UUID, rows: int, prefix: str = "r", *, replaces: bool = True) -> None:
    loading = begin(database, campaign_id, replaces=replaces)
    finish(database, loading, fill(database, loading, rows, prefix))


def status(database: Database, campaign_id: UUID) -> CampaignStatus:
    with database.reading() as session:
        return session.get_one(Campaign, campaign_id).status


def count(database: Database, table: type) -> int:
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def age(database: Database, table: type, by: timedelta) -> None:
    with database.transaction() as session:
        session.execute(update(table).values(created_at=now_sql(session, -by)))


def clear(database: Database) -> None:
    while deletion.delete_dropped_rows(database):
        pass


@pytest.mark.parametrize(("rows", "rest"), [(0, _S.DRAFT), (3, _S.READY)])
def test_an_import_whose_process_died_is_abandoned_and_the_campaign_restored(
    database: Database, rows: int, rest: CampaignStatus
) -> None:
    campaign_id = make(database)
    if rows:
        take(database, campaign_id, rows)
    loading = begin(database, campaign_id)
    fill(database, loading, 2, "late")
    assert deletion.abandon_stale_lists(database) == 0
    assert status(database, campaign_id) is _S.VALIDATING
    age(database, RecipientList, deletion.LOADING_TIMEOUT + timedelta(minutes=1))
    assert deletion.abandon_stale_lists(database) == 1
    assert status(database, campaign_id) is rest
    age(database, RecipientList, deletion.ERRORS_KEPT + timedelta(minutes=1))
    clear(database)
    assert count(database, Recipient) == rows


def test_an_abandoned_import_writes_nothing_more(database: Database) -> None:
    campaign_id = make(database)
    loading = begin(database, campaign_id)
    age(database, RecipientList, deletion.LOADING_TIMEOUT + timedelta(minutes=1))
    deletion.abandon_stale_lists(database)
    with pytest.raises(IllegalTransitionError):
        fill(database, loading, 2)
    assert count(database, Recipient) == 0
    with pytest.raises(IllegalTransitionError):
        finish(database, loading, importing.ImportResult())


def test_one_list_is_imported_at_a_time(database: Database) -> None:
    campaign_id = make(database)
    begin(database, campaign_id)
    with pytest.raises(IllegalTransitionError, match="already"):
        begin(database, campaign_id)


@pytest.mark.parametrize("standing", _S)
def test_recipients_are_accepted_only_in_the_states_that_allow_them(
    database: Database, standing: CampaignStatus
) -> None:
    may_append = lists.UNAPPROVED | lists.EXTENDABLE
    for replaces, allowed in ((True, lists.UNAPPROVED), (False, may_append)):
        campaign_id = make(database, standing)
        if standing in allowed:
            take(database, campaign_id, 1, replaces=replaces)
            assert status(database, campaign_id) is (_S.READY if standing in lists.UNAPPROVED else standing)
        else:
            with pytest.raises(IllegalTransitionError):
                begin(database, campaign_id, replaces=replaces)


def test_replaced_rows_are_deleted_in_chunks_and_their_proofs_at_once(database: Database) -> None:
    campaign_id = make(database)
    take(database, campaign_id, CHUNK + 10)
    with database.transaction() as session:
        recipient = session.scalars(select(Recipient).limit(1)).one()
        session.add(
            Print(
                id=create_id(),
                campaign_id=campaign_id,
                recipient_pk=recipient.id,
                index=0,
                arm="main",
                status=PrintStatus.PRINTED,
                is_proof=True,
            )
        )
    take(database, campaign_id, 5, "new")
    assert (count(database, Print), count(database, Recipient)) == (0, CHUNK + 15)
    age(database, RecipientList, deletion.ERRORS_KEPT + timedelta(minutes=1))
    assert deletion.delete_dropped_rows(database) == CHUNK
    clear(database)
    assert (count(database, Recipient), count(database, RecipientList)) == (5, 1)
    with database.reading() as session:
        assert queries.find_recipient(session, session.get_one(Campaign, campaign_id), "new3") is not None


def test_the_errors_of_a_refused_file_are_kept_for_a_day_or_until_the_next(database: Database) -> None:
    campaign_id = make(database)
    loading = begin(database, campaign_id)
    with database.transaction() as session:
        session.add(RejectedRow(campaign_id=campaign_id, list_number=loading.number, row=1, fields=[""], errors=[]))
        lists.abandon_list(session, session.get_one(Campaign, campaign_id), loading.number)
    clear(database)
    assert count(database, RejectedRow) == 1
    age(database, RecipientList, deletion.ERRORS_KEPT + timedelta(minutes=1))
    clear(database)
    assert (count(database, RejectedRow), count(database, RecipientList)) == (0, 0)


def test_deleting_a_campaign_deletes_all_its_rows(database: Database) -> None:
    campaign_id, other = make(database), make(database)
    take(database, campaign_id, CHUNK + 1)
    take(database, other, 2)
    with database.transaction() as session:
        deletion.hide_campaign(session, session.get_one(Campaign, campaign_id))
    clear(database)
    assert (count(database, Campaign), count(database, Recipient), count(database, RecipientList)) == (1, 2, 1)


def test_other_writers_are_not_blocked_while_a_file_is_imported(database: Database) -> None:
    campaign_id, other = make(database), make(database)
    loading = begin(database, campaign_id)
    written, reached = threading.Event(), threading.Event()

    data = b"recipient_id,name\n" + b"".join(b"r%d,n\n" % number for number in range(8 * CHUNK))

    class Waiting(io.BytesIO):
        """Gives the last rows only when somebody else has written."""

        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > len(data) // 2:
                reached.set()
                assert written.wait(30)
            return super().read(size)

    sheet = CsvSheet(Waiting(data))

    def write() -> None:
        assert reached.wait(30)
        take(database, other, 3)
        written.set()

    writer = threading.Thread(target=write)
    writer.start()
    done = importing.import_rows(database, loading, sheet, lambda _: None, 10**6)
    writer.join()
    finish(database, loading, done)
    assert (done.accepted, count(database, Recipient)) == (8 * CHUNK, 8 * CHUNK + 3)


def test_of_two_simultaneous_imports_for_one_campaign_one_is_refused(database: Database) -> None:
    campaign_id, outcomes = make(database), list[str]()
    start = threading.Barrier(2)

    def run() -> None:
        start.wait()
        try:
            begin(database, campaign_id)
        except IllegalTransitionError:
            outcomes.append("refused")
        else:
            outcomes.append("begun")

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["begun", "refused"]


def test_a_clerk_that_dies_while_deleting_leaves_the_rest_to_the_next(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign_id = make(database)
    take(database, campaign_id, 10)
    with database.transaction() as session:
        deletion.hide_campaign(session, session.get_one(Campaign, campaign_id))
    monkeypatch.setattr(deletion, "CHUNK", 3)
    assert deletion.delete_dropped_rows(database) == 3
    assert count(database, Recipient) == 7
    clear(database)
    assert (count(database, Recipient), count(database, Campaign)) == (0, 0)


def test_a_list_becomes_current_only_when_it_is_complete(database: Database) -> None:
    campaign_id = make(database)
    loading = begin(database, campaign_id)
    fill(database, loading, 2 * CHUNK)
    with database.reading() as session:
        assert queries.list_current_lists(session, campaign_id) == []
        (row,) = session.scalars(select(RecipientList))
        assert (row.status, row.accepted) == (ListStatus.LOADING, 2 * CHUNK)
