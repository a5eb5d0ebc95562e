"""How an event stands on the wire."""

import json

import httpx2

from api.web.sse import CONTENT_TYPE, HEARTBEAT, RETRY, Event

EVENT = Event("1.2", "progress", json.dumps({"prompt": "two\r\nlines\u2028and\x85more"}, ensure_ascii=False))


def test_an_event_is_an_id_a_name_and_one_line_of_data() -> None:
    assert Event("1.2", "progress", '{"step":2}').encode() == b'id: 1.2\nevent: progress\ndata: {"step":2}\n\n'


def test_a_standard_client_reads_the_events_and_skips_the_rest() -> None:
    answer = httpx2.Response(
        200,
        headers={"Content-Type": CONTENT_TYPE},
        content=RETRY + HEARTBEAT + EVENT.encode() + HEARTBEAT,
        request=httpx2.Request("GET", "http://api"),
    )
    hint, event = httpx2.EventSource(answer)
    assert (hint.retry, hint.data) == (2000, "")
    assert (event.id, event.event, event.data) == ("1.2", "progress", EVENT.data)
