"""Sign-in, permissions and protection against forged posts in the console; on both databases."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from api.console.routing import blueprint, get_page_scope
from api.console.session import COOKIE
from common.access import keys
from common.access.keys import TENANT_SCOPES, Scope
from common.clerk import retention
from common.clock import utcnow
from common.db.engine import Database
from common.errors import DatabaseUnavailableError
from common.tables import ConsoleSession
from tests.support.apis import Api, open_api
from tests.support.waiting import until


@pytest.fixture
def api(database: Database, tmp_path: Path) -> Api:
    return open_api(database, tmp_path)


def sign_in(api: Api, *scopes: Scope, owner: str = "ada") -> str:
    """Sign in with a new key and return it; the client keeps the cookie."""
    key = api.make_key(owner, scopes or tuple(Scope))
    answer = api.client.post("/console/sign-in", data={"key": key})
    assert answer.status_code == 303, answer.text
    return key


def token(api: Api) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', api.client.get("/console/jobs").text)
    if found is None:
        found = re.search(r'"X-CSRF-Token": "([^"]+)"', api.client.get("/console/jobs").text)
    assert found is not None
    return found.group(1)


def cookie_of(answer: TestResponse) -> str:
    return answer.headers["Set-Cookie"]


def test_a_visitor_is_redirected_to_sign_in_and_back(api: Api) -> None:
    answer = api.client.get("/console/jobs?status=failed")
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/console/sign-in?then=/console/jobs?status%3Dfailed"
    key = api.make_key("ada")
    back = api.client.post("/console/sign-in", data={"key": key, "then": "/console/jobs?status=failed"})
    assert back.headers["Location"] == "/console/jobs?status=failed"


@pytest.mark.parametrize(
    "then",
    [
        *("https://elsewhere.example/", "//elsewhere.example/console/", "/console/\\x", "/v1"),
        *("/console/\r\nSet-Cookie: a=b", "/console/\n", "/console/\x00", "/console/\x85", "/console/\u2028"),
    ],
)
def test_sign_in_never_redirects_to_another_site(api: Api, then: str) -> None:
    answer = api.client.post("/console/sign-in", data={"key": api.make_key("ada"), "then": then})
    assert answer.headers["Location"] == "/console/overview"


def test_the_cookie_holds_no_key_and_is_kept_from_scripts_and_other_sites(api: Api) -> None:
    key = api.make_key("ada")
    cookie = cookie_of(api.client.post("/console/sign-in", data={"key": key}))
    assert key not in cookie
    assert key.split("_")[1] not in cookie
    for word in ("HttpOnly", "SameSite=Lax", "Path=/console"):
        assert word in cookie
    assert "Secure" not in cookie


def test_the_cookie_is_secure_when_the_service_uses_https(database: Database, tmp_path: Path) -> None:
    api = open_api(database, tmp_path, public_url="https://pressroom.example/print")
    answer = api.client.post("/console/sign-in", data={"key": api.make_key("ada")})
    assert "Secure" in cookie_of(answer)
    assert "Path=/print/console" in cookie_of(answer)
    assert answer.headers["Location"] == "/print/console/overview"
    assert "Strict-Transport-Security" in answer.headers


def test_revoking_a_key_ends_its_session_at_once(api: Api) -> None:
    key = sign_in(api)
    assert api.client.get("/console/jobs").status_code == 200
    with api.database.transaction() as session:
        keys.revoke_api_key(session, key.split("_")[1])
    assert api.client.get("/console/jobs").status_code == 303


def test_an_open_page_loses_its_stream_soon_after_its_key_is_revoked(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    key = sign_in(api)
    assert api.client.get("/console/overview/now").status_code == 200
    with api.database.transaction() as session:
        keys.revoke_api_key(session, key.split("_")[1])
    monkeypatch.setattr("api.console.key_cache.FRESH_SECONDS", 0.0)
    until(lambda: api.client.get("/console/overview/now").status_code == 303, "the page to be cut off")
    answer = api.client.get("/console/overview/now", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (401, "/console/sign-in")


def test_a_tampered_cookie_is_rejected(api: Api) -> None:
    sign_in(api)
    cookie = api.client.get_cookie(COOKIE, path="/console")
    assert cookie is not None
    api.client.set_cookie(COOKIE, cookie.value[:-2] + "xx", path="/console")
    assert api.client.get("/console/jobs").status_code == 303


WRONG = {"key": "prk_AAAAAAAA_" + "x" * 43}


def test_failed_sign_ins_are_refused_for_a_while_but_a_valid_key_never(api: Api) -> None:
    answers = [api.client.post("/console/sign-in", data=WRONG) for _ in range(21)]
    assert [answer.status_code for answer in answers] == [401] * 20 + [429]
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 60
    assert api.client.post("/console/sign-in", data={"key": api.make_key("ada")}).status_code == 303


def test_failed_sign_ins_behind_a_trusted_proxy_count_for_their_own_client(database: Database, tmp_path: Path) -> None:
    api = open_api(database, tmp_path, trusted_proxies=("127.0.0.0/8",))

    def attempt(forwarded: str) -> int:
        headers = {"X-Forwarded-For": forwarded}
        return api.client.post("/console/sign-in", data=WRONG, headers=headers).status_code

    assert [attempt(f"10.0.0.{number}, 198.51.100.1") for number in range(21)][-1] == 429
    assert attempt("198.51.100.2") == 401


def test_an_untrusted_client_cannot_choose_its_address(api: Api) -> None:
    answers = [
        api.client.post("/console/sign-in", data=WRONG, headers={"X-Forwarded-For": f"198.51.100.{number}"})
        for number in range(21)
    ]
    assert answers[-1].status_code == 429


def test_a_post_without_the_token_of_its_session_changes_nothing(api: Api) -> None:
    sign_in(api)
    fields = {"prompt": "a lighthouse", "model": "painted"}
    for data in (fields, fields | {"csrf_token": "x"}):
        assert api.client.post("/console/generate", data=data).status_code == 403
    assert api.count_jobs() == 0
    assert api.client.post("/console/generate", data=fields | {"csrf_token": token(api)}).status_code == 303
    assert api.count_jobs() == 1


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"}]
)
def test_a_post_from_another_site_is_refused_even_with_a_key(api: Api, headers: dict[str, str]) -> None:
    answer = api.client.post("/console/sign-in", data={"key": api.make_key("ada")}, headers=headers)
    assert answer.status_code == 403
    assert "Set-Cookie" not in answer.headers


def test_every_page_requires_a_key_and_its_scope(api: Api) -> None:
    """Every page but those for strangers, found in the map of routes: with every other scope it stays shut."""
    open_pages, pages = set(), list[tuple[Scope, str, str]]()
    for rule in api.app.url_map.iter_rules():
        if not rule.endpoint.startswith(f"{blueprint.name}."):
            continue
        scope = get_page_scope(api.app.view_functions[rule.endpoint])
        path = re.sub("<[^>]+>", "01a206df-29df-717a-b844-d5aa57ee2490", rule.rule)
        if scope is None:
            open_pages.add(rule.endpoint.partition(".")[2])
        else:
            pages.append((scope, path, "POST" if "POST" in (rule.methods or ()) else "GET"))
    for lacking in {scope for scope, _, _ in pages}:
        sign_in(api, *(scope for scope in Scope if scope is not lacking))
        forms = token_of_any_page(api)
        for path, method in [(path, method) for scope, path, method in pages if scope is lacking]:
            assert api.app.test_client().open(path, method=method).status_code == 303, path
            answer = api.client.open(path, method=method, data={"csrf_token": forms} if method == "POST" else None)
            assert answer.status_code == 403, path
            assert f"lacks the scope {lacking}" in answer.text, path
    assert open_pages == {
        *(f"sign_in:{view}" for view in ("show_sign_in", "sign_in", "sign_out", "show_home", "show_not_found")),
        "static:serve",
    }


def token_of_any_page(api: Api) -> str:
    found = re.search(r'"X-CSRF-Token": "([^"]+)"', api.client.get("/console/nothing").text)
    assert found is not None
    return found.group(1)


def test_the_navigation_shows_what_the_key_may_see(api: Api) -> None:
    sign_in(api, Scope.JOBS_READ)
    page = api.client.get("/console/jobs").text
    assert "/console/gallery" in page
    for hidden in ("/console/generate", "/console/costs", "/console/keys", "/console/webhooks", "Cancel selected"):
        assert hidden not in page


def test_resources_of_other_owners_are_not_found(api: Api) -> None:
    job_id, images = api.print_job("bob")
    sign_in(api, *TENANT_SCOPES)
    for path in (f"jobs/{job_id}", f"jobs/{job_id}/now", f"generate/{job_id}/now", f"generate?job={job_id}"):
        assert api.client.get(f"/console/{path}").status_code == 404, path
    assert str(images[0].id) not in api.client.get("/console/gallery").text
    assert str(images[0].id) not in api.client.get(f"/console/gallery/compare?image={images[0].id}").text
    assert str(job_id) not in api.client.get("/console/jobs").text
    assert api.client.get(f"/console/jobs?words={job_id}", follow_redirects=True).status_code == 404
    for act in ("cancel", "retry"):
        data = {"csrf_token": token(api)}
        assert api.client.post(f"/console/jobs/{job_id}/{act}", data=data).status_code == 404


def test_every_response_has_a_strict_content_security_policy(api: Api) -> None:
    sign_in(api)
    for path in ("/console/jobs", "/console/nothing", "/console/overview/now"):
        headers = api.client.get(path).headers
        policy = headers["Content-Security-Policy"]
        for part in ("default-src 'self'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"):
            assert part in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_every_response_under_the_console_has_the_security_headers(api: Api) -> None:
    sign_in(api)
    client = api.client
    answers = {
        303: api.app.test_client().get("/console/jobs"),
        404: client.get("/console/nowhere"),
        405: client.put("/console/jobs"),
        413: client.post("/console/sign-in", data={"key": "x" * 3_000_000}),
        429: [client.post("/console/sign-in", data=WRONG) for _ in range(21)][-1],
        200: client.get("/console/static/1/mark.svg", buffered=True),
    }
    assert [answer.status_code for answer in answers.values()] == [*answers]
    for answer in answers.values():
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"], answer
        assert answer.headers["X-Frame-Options"] == "DENY"
    assert "Content-Security-Policy" not in client.get("/v1/jobs").headers


def test_errors_of_the_database_under_the_console_have_the_security_headers(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in(api)

    def fail(*_: object) -> None:
        raise DatabaseUnavailableError

    monkeypatch.setattr("common.access.keys.load_session_keys", fail)
    answer = api.client.get("/console/jobs")
    assert answer.status_code == 503
    assert "Content-Security-Policy" in answer.headers


def _copy_session(api: Api) -> FlaskClient:
    cookie = api.client.get_cookie(COOKIE, path="/console")
    assert cookie is not None
    copied = api.app.test_client()
    copied.set_cookie(COOKIE, cookie.value, path="/console")
    return copied


def test_signing_out_ends_the_session_for_every_copy_of_its_cookie(api: Api) -> None:
    sign_in(api)
    copied = _copy_session(api)
    for path in ("/console/jobs", "/console/overview/now"):
        assert copied.get(path).status_code == 200
    api.client.post("/console/sign-out")
    for client in (api.client, copied):
        for path in ("/console/jobs", "/console/overview/now"):
            assert client.get(path).status_code == 303


def test_signing_out_ends_no_other_session_of_the_key(api: Api) -> None:
    key = sign_in(api)
    other = api.app.test_client()
    other.post("/console/sign-in", data={"key": key})
    api.client.post("/console/sign-out")
    assert other.get("/console/jobs").status_code == 200


def test_signing_in_again_ends_the_session_before(api: Api) -> None:
    sign_in(api)
    copied = _copy_session(api)
    sign_in(api)
    assert (copied.get("/console/jobs").status_code, api.client.get("/console/jobs").status_code) == (303, 200)


def test_the_clerk_deletes_sessions_that_have_ended(api: Api) -> None:
    revoked = sign_in(api)
    api.client.delete_cookie(COOKIE, path="/console")
    sign_in(api)
    api.client.delete_cookie(COOKIE, path="/console")
    sign_in(api)
    with api.database.transaction() as session:
        keys.revoke_api_key(session, revoked.split("_")[1])
        opened = session.scalars(select(ConsoleSession.id).order_by(ConsoleSession.id)).all()
        past = utcnow() - timedelta(seconds=1)
        session.execute(update(ConsoleSession).where(ConsoleSession.id == opened[1]).values(expires_at=past))
    assert retention.delete_console_sessions(api.database) == 2
    assert api.client.get("/console/jobs").status_code == 200
