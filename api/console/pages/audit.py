"""The audit trail of the owner."""

from werkzeug.wrappers import Response

from api.auth.bearer import current_caller
from api.console.query_params import decode_cursor, encode_cursor, read_choice, read_day, read_filters, read_text
from api.console.rendering import render_page
from api.console.routing import register_page
from api.runtime.context import current_context
from api.system.audit import serialize_event
from common.access import audit
from common.access.audit import AuditFilter
from common.access.keys import Scope
from common.db.pages import READ_THROUGH
from common.states.audit import Act

PAGE_SIZE = 50
CURSOR_BOOK = "audit"


@register_page("/audit", Scope.AUDIT_READ)
def list_events() -> Response:
    """List what was done with the owner's keys, newest first."""
    wanted = AuditFilter(
        owner=current_caller().owner,
        act=read_choice("act", Act),
        object_id=read_text("object", 64) or None,
        key=read_text("key", 8) or None,
        since=read_day("from"),
        until=read_day("to", after=True),
    )
    with current_context().database.reading() as session:
        page = audit.search_events(session, wanted, after=decode_cursor(CURSOR_BOOK), limit=PAGE_SIZE)
    return render_page(
        "audit/list.html",
        events=[serialize_event(record) for record in page.rows],
        next=encode_cursor(CURSOR_BOOK, page.next_after),
        filters=read_filters("act", "object", "key", "from", "to"),
        acts=[*Act],
        searched=READ_THROUGH,
    )
