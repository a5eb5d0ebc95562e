"""The WSGI environment of a request."""

from typing import Any

from api.server.environ import attach_body, build_environ


def build(*headers: tuple[bytes, bytes], **scope: Any) -> dict[str, Any]:
    given = {"method": "GET", "http_version": "1.1", "raw_path": b"/", "query_string": b"", "headers": headers}
    return build_environ(given | {"server": ("127.0.0.1", 8000), "client": ("192.0.2.1", 5)} | scope)


def test_paths_are_decoded_byte_by_byte() -> None:
    assert build(raw_path=b"/a%20b/%C3%A9%ff%2F")["PATH_INFO"] == "/a b/\xc3\xa9\xff/"


def test_the_query_is_left_as_it_came() -> None:
    assert build(query_string=b"a=%20&b=\xe9")["QUERY_STRING"] == "a=%20&b=\xe9"


def test_repeated_headers_are_joined() -> None:
    environ = build((b"x-a", b"1"), (b"x-a", b"2"), (b"cookie", b"a=1"), (b"cookie", b"b=2"))
    assert (environ["HTTP_X_A"], environ["HTTP_COOKIE"]) == ("1,2", "a=1; b=2")


def test_a_header_with_an_underscore_cannot_pass_for_another() -> None:
    environ = build((b"x_forwarded_for", b"198.51.100.1"), (b"content_length", b"5"))
    assert "HTTP_X_FORWARDED_FOR" not in environ
    assert "CONTENT_LENGTH" not in environ


def test_the_length_is_that_of_the_body_that_was_read() -> None:
    environ = build((b"content-length", b"999"), (b"transfer-encoding", b"chunked"), (b"content-type", b"text/csv"))
    whole = attach_body(environ, object(), 7)  # type: ignore[arg-type]  # any object will do
    assert (whole["CONTENT_LENGTH"], whole["CONTENT_TYPE"]) == ("7", "text/csv")
    assert "HTTP_TRANSFER_ENCODING" not in whole


def test_clients_on_a_unix_socket_have_no_address() -> None:
    environ = build(server=None, client=None)
    assert (environ["REMOTE_ADDR"], environ["SERVER_PORT"]) == ("", "0")
