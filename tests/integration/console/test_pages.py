"""What the console's pages show and do, with few queries each; on both databases."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import event

from common.access.keys import Scope
from common.db.engine import Database
from common.db.pages import READ_THROUGH
from common.states.jobs import ImageStatus, JobStatus
from tests.integration.console.test_access import sign_in, token
from tests.support import factories
from tests.support.apis import Api, open_api

MOST_QUERIES = 12


@pytest.fixture
def api(database: Database, tmp_path: Path) -> Api:
    opened = open_api(database, tmp_path)
    opened.key = sign_in(opened)
    return opened


@contextmanager
def counting(database: Database) -> Iterator[list[str]]:
    """Yield the statements that are sent within the block."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        sent.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    yield sent
    event.remove(database.engine, "before_cursor_execute", note)


def pages(api: Api) -> list[str]:
    """Return every page that shows something, with enough in each list to have several of everything."""
    job_id, images = api.print_job()
    for _ in range(3):
        api.print_job()
        factories.submit(api.database)
    api.print_job(status=ImageStatus.BLOCKED)
    api.post("/v1/styles", json={"name": "plain"})
    webhook = api.post("/v1/webhooks", json={"url": "https://hooks.example/a"}).json["id"]
    deliveries = [api.post(f"/v1/webhooks/{webhook}/test").json["id"] for _ in range(3)]
    choice = "&".join(f"image={image.id}" for image in images)
    return [
        *("overview", "overview/now", "generate", f"generate?job={job_id}", f"generate/{job_id}/now"),
        *("jobs", "jobs?words=lighthouse"),
        *(f"jobs/{job_id}", f"jobs/{job_id}/now", "gallery", "gallery?verdict=pass&model=painted"),
        *(f"gallery/compare?{choice}", "costs", "costs?by=day", "costs?by=key", "costs/operator", "costs/table.csv"),
        *("webhooks", f"webhooks/{webhook}", f"webhooks/{webhook}/deliveries/{deliveries[0]}", "models", "keys"),
        *("styles", "styles/new", "styles/plain", "review"),
    ]


def test_no_page_takes_more_than_a_dozen_queries(api: Api) -> None:
    asked = {}
    for path in pages(api):
        with counting(api.database) as sent:
            assert api.client.get(f"/console/{path}").status_code == 200, path
        asked[path] = len([statement for statement in sent if not statement.startswith("BEGIN")])
    assert max(asked.values()) <= MOST_QUERIES, asked
    assert min(asked.values()) > 0


def test_the_form_creates_the_job_that_it_describes(api: Api) -> None:
    form = {
        "prompt": "a fox",
        "model": "painted",
        "width": "128",
        "height": "64",
        "steps": "3",
        "seed": "9",
        "num_images": "2",
    }
    form |= {"guidance_scale": "4.5", "negative_prompt": "snow", "strength": "0.8", "csrf_token": token(api)}
    answer = api.client.post("/console/generate", data=form)
    job = api.get("/v1/jobs").json["data"][0]
    assert answer.headers["Location"] == f"/console/generate?job={job['id']}&seed=same"
    asked = job["request"]
    assert (asked["prompt"], asked["width"], asked["height"], asked["steps"], asked["seed"]) == ("a fox", 128, 64, 3, 9)
    assert (asked["num_images"], asked["guidance_scale"], asked["negative_prompt"]) == (2, 4.5, "snow")
    assert asked["strength"] is None
    assert api.notifier.notified


def test_an_invalid_form_is_shown_again_with_all_errors_and_the_input(api: Api) -> None:
    form = {"prompt": "a fox & a hen", "model": "painted", "width": "0", "steps": "many", "csrf_token": token(api)}
    answer = api.client.post("/console/generate", data=form)
    assert answer.status_code == 422
    assert "<b>width</b>" in answer.text
    assert "<b>steps</b>" in answer.text
    assert "a fox \\u0026 a hen" in answer.text
    assert api.count_jobs() == 0


def test_user_input_is_shown_as_text_and_never_as_html(api: Api) -> None:
    evil = "<script>alert(1)</script></script>"
    job = api.make_job(prompt=evil, metadata={"note": evil})
    for path in ("jobs", f"jobs/{job['id']}", f"generate?job={job['id']}", "overview", f"jobs?words={evil}"):
        assert "<script>alert" not in api.client.get(f"/console/{path}").text, path


def test_jobs_are_paged_without_losing_or_repeating_one(api: Api) -> None:
    made = {str(factories.submit(api.database).id) for _ in range(120)}
    seen: list[str] = []
    path = "/console/jobs?status=queued"
    while path:
        page = api.client.get(path).text
        seen += [line.split('value="')[1].split('"')[0] for line in page.splitlines() if 'name="job"' in line]
        links = [line.split('rel="next" href="')[1].split('"')[0] for line in page.splitlines() if 'rel="next"' in line]
        path = links[0].replace("&amp;", "&") if links else ""
    assert len(seen) == 120
    assert set(seen) == made


def test_the_prompt_search_ignores_case(api: Api) -> None:
    factories.submit(api.database, request={"prompt": "100% an Owl_by night"})
    factories.submit(api.database, request={"prompt": "a fox"})
    for words, found in (("owl", 1), ("100%", 1), ("l_b", 1), ("_", 1), ("%", 1), ("hen", 0), ("a", 2)):
        page = api.client.get("/console/jobs", query_string={"words": words}).text
        assert page.count('name="job"') == found, words
    assert READ_THROUGH >= 1000


def test_selected_jobs_are_canceled_or_retried_and_the_rest_left_alone(api: Api) -> None:
    printed, _ = api.print_job()
    queued, other = factories.submit(api.database), factories.submit(api.database)
    chosen = {"job": [str(queued.id), str(printed)], "csrf_token": token(api)}
    api.client.post("/console/jobs/chosen", data=chosen | {"act": "cancel"})
    assert factories.read(api.database, queued.id).status is JobStatus.CANCELED
    assert factories.read(api.database, other.id).status is JobStatus.QUEUED
    assert factories.read(api.database, printed).status is JobStatus.SUCCEEDED
    before = api.count_jobs()
    api.client.post("/console/jobs/chosen", data=chosen | {"act": "retry"})
    assert api.count_jobs() == before + 2


def test_selected_images_are_deleted_for_good_by_keys_that_allow_it(api: Api) -> None:
    (job_id, (image,)), (_, (foreign,)) = api.print_job(), api.print_job("bob")
    form = {"image": str(image.id), "act": "delete"}
    sign_in(api, Scope.JOBS_READ)
    assert api.client.post("/console/gallery/chosen", data=form | {"csrf_token": token(api)}).status_code == 403
    sign_in(api)
    others = {"image": str(foreign.id), "act": "delete", "csrf_token": token(api)}
    assert "no longer exists" in api.client.post("/console/gallery/chosen", data=others, follow_redirects=True).text
    api.client.post("/console/gallery/chosen", data=form | {"csrf_token": token(api)})
    assert api.get(f"/v1/images/{image.id}").json["status"] == "erased"
    assert [*api.storage.list_keys(f"owners/ada/jobs/{job_id}")] == []
    assert [*api.storage.list_keys("owners/bob/")] != []


def test_the_overview_shows_all_owners_to_operators_alone(api: Api) -> None:
    press = factories.press(api.database, host="press-one")
    factories.running(api.database, press, owner="bob")
    assert "press-one" in api.client.get("/console/overview").text
    sign_in(api, Scope.JOBS_READ)
    assert "press-one" not in api.client.get("/console/overview").text
    assert "bob" not in api.client.get("/console/overview/now").text


def test_a_live_part_is_sent_again_only_when_it_has_changed(api: Api) -> None:
    first = api.client.get("/console/overview/now")
    again = api.client.get("/console/overview/now", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    job = api.make_job()
    shown = api.client.get(f"/console/jobs/{job['id']}/now")
    known = {"If-None-Match": shown.headers["ETag"]}
    assert api.client.get(f"/console/jobs/{job['id']}/now", headers=known).status_code == 304
    api.post(f"/v1/jobs/{job['id']}/cancel")
    changed = api.client.get(f"/console/jobs/{job['id']}/now", headers=known)
    assert changed.status_code == 200
    assert "data-live-end" in changed.text


def test_a_key_is_created_with_at_most_the_scopes_of_its_creator(api: Api) -> None:
    sign_in(api, Scope.KEYS_ADMIN, Scope.JOBS_READ)
    form = {"name": "shop", "scope": ["jobs:read", "jobs:write"], "ends": "never", "csrf_token": token(api)}
    refused = api.client.post("/console/keys", data=form)
    assert refused.status_code == 422
    assert "without the scope jobs:write" in refused.text
    made = api.client.post("/console/keys", data=form | {"scope": ["jobs:read"], "ends": "in 30 days"})
    assert "prk_" in made.text
    assert "prk_" not in api.client.get("/console/keys").text.replace("prk_…", "")
