"""Whoever asks for prompts that a model does not read to their end is told so before anything is charged."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import update

import worker.starter
from common.db.engine import Database
from common.models import catalog, text_encoders
from common.models.catalog import PAINTED, PAINTED_CARD
from common.tables import Tokenizer
from tests.integration.console.test_access import sign_in
from tests.support.apis import Api, open_api
from tests.support.campaigns.recipient_files import make_campaign, put
from tests.support.engine.word_tokenizers import build_word_encoder

TOKENIZER = Path(worker.starter.__file__).parent / "starter-1" / "tokenizer"
READ = 38
"""Of the starter model, without the marks of the beginning and the end."""

TEMPLATE = (
    "a studio photograph of one happy {{ animal }} , sharp , detailed , soft daylight , calm mood , balanced colours ,"
    " printed on thick matte paper , in the manner of an old poster , centred , wide margins , for a greeting card ,"
    " no letters , no frame , for our dear guest {{ name }} on a {{ colour }} background"
)
PEOPLE = "recipient_id,animal,name,colour\na,fox,Ada,red\nb,fox,Ben,blue\nc,fox,Cy,green\n"
ALIKE = "All prompts are the same as far as the model reads them: put what differs nearer to the beginning."


@pytest.fixture(scope="module")
def encoders() -> list[text_encoders.TextEncoder]:
    from transformers import CLIPTokenizer  # noqa: PLC0415  (takes seconds to import)

    from worker.engine.families.prompt_tokens import list_encoders  # noqa: PLC0415

    return list_encoders(SimpleNamespace(tokenizer=CLIPTokenizer.from_pretrained(TOKENIZER)), {})


@pytest.fixture
def api(database: Database, tmp_path: Path, encoders: list[text_encoders.TextEncoder]) -> Api:
    """An api whose model has the tokenizer of the starter model, and another model that reads a thousand words."""
    opened = open_api(database, tmp_path)
    with database.transaction() as session:
        catalog.register_models(session, [PAINTED_CARD, PAINTED_CARD.model_copy(update={"name": "patient"})])
        patient = [build_word_encoder(1000, "Ada", "Ben", "Cy")]
        text_encoders.register_encoders(session, {PAINTED: encoders, "patient": patient})
    return opened


def preview(api: Api, made: dict[str, Any]) -> list[dict[str, int] | None]:
    rows = api.post(f"/v1/campaigns/{made['id']}/preview", json={}).json["data"]
    return [row["prompt_tokens"] for row in rows]


def test_a_template_whose_names_are_not_read_is_told_of_in_the_receipt_and_the_preview(api: Api) -> None:
    made = make_campaign(api, template={"prompt": TEMPLATE}, seed_rule="fixed", seed=7)
    longer, alike = put(api, made, PEOPLE).json["notes"]
    dropped = [each["dropped"] for each in preview(api, made)]
    assert longer == (
        "The prompts of 3 rows are longer than the model reads. Tokens that are left out at the end:"
        f" {dropped[0]} of row 1, {dropped[1]} of row 2, {dropped[2]} of row 3."
    )
    assert alike == ALIKE
    assert [each["read"] for each in preview(api, made)] == [READ] * 3
    (kept,) = api.get(f"/v1/campaigns/{made['id']}").json["recipients"]["lists"]
    assert kept["notes"] == [longer, alike]


def test_names_that_are_read_are_not_told_to_be_alike(api: Api) -> None:
    made = make_campaign(api, template={"prompt": "for {{ name }} , " + TEMPLATE})
    (longer,) = put(api, made, PEOPLE).json["notes"]
    assert "3 rows" in longer


def test_nothing_is_said_of_prompts_that_are_read_whole(api: Api) -> None:
    made = make_campaign(api, template={"prompt": "a {{ animal }} for {{ name }}"})
    assert put(api, made, PEOPLE).json["notes"] == []
    assert all(each["dropped"] == 0 < each["read"] for each in preview(api, made))


def test_only_rows_that_are_accepted_are_told_of(api: Api) -> None:
    made = make_campaign(api, template={"prompt": TEMPLATE})
    notes = put(api, made, PEOPLE + "a,fox,Ada,red\n", "?on_error=skip").json["notes"]
    assert "3 rows" in notes[0]


@pytest.mark.parametrize(
    "change", [{"template": {"prompt": "a {{ animal }} for {{ name }}"}}, {"defaults": {"model": "patient"}}]
)
def test_the_notes_follow_a_change_of_the_template_or_the_model(api: Api, change: dict[str, Any]) -> None:
    made = make_campaign(api, template={"prompt": TEMPLATE})
    assert put(api, made, PEOPLE).json["notes"]
    changed = api.call("PATCH", f"/v1/campaigns/{made['id']}", json=change).json
    assert changed["recipients"]["lists"][0]["notes"] == []
    assert {each["dropped"] for each in preview(api, made)} == {0}


def test_the_console_says_it_beside_the_list_and_each_prompt(api: Api) -> None:
    made = make_campaign(api, template={"prompt": TEMPLATE})
    put(api, made, PEOPLE)
    dropped = preview(api, made)[0]
    sign_in(api)
    assert ALIKE in api.client.get(f"/console/campaigns/{made['id']}/recipients").text
    prompts = api.client.get(f"/console/campaigns/{made['id']}/prompts").text
    assert dropped is not None
    assert f"reads the first {READ} tokens of this prompt; {dropped['dropped']} are left out." in prompts


def test_a_waiting_job_says_how_much_of_its_prompt_will_be_read(api: Api) -> None:
    job = api.make_job(prompt=TEMPLATE)
    assert job["prompt_tokens"]["read"] == READ
    assert job["prompt_tokens"]["dropped"] > 0
    assert api.get(f"/v1/jobs/{job['id']}").json["prompt_tokens"] == job["prompt_tokens"]
    assert api.get("/v1/jobs").json["data"][0]["prompt_tokens"] is None
    sign_in(api)
    said = f"reads the first {READ} tokens of this prompt; {job['prompt_tokens']['dropped']} are left out."
    for page in (f"jobs/{job['id']}", f"generate?job={job['id']}"):
        assert said in api.client.get(f"/console/{page}").text
    assert api.post(f"/v1/jobs/{job['id']}/cancel").json["prompt_tokens"] is None


def test_where_the_tokenizer_is_not_known_nothing_is_said_and_all_goes_on(database: Database, tmp_path: Path) -> None:
    api = open_api(database, tmp_path)
    made = make_campaign(api, template={"prompt": TEMPLATE})
    assert put(api, made, PEOPLE).json["notes"] == []
    assert preview(api, made) == [None] * 3
    assert api.make_job(prompt=TEMPLATE)["prompt_tokens"] is None


def test_where_the_tokenizer_cannot_be_read_nothing_is_said_and_all_goes_on(api: Api) -> None:
    with api.database.transaction() as session:
        session.execute(update(Tokenizer).values(content=b"{"))
    made = make_campaign(api, template={"prompt": TEMPLATE})
    assert put(api, made, PEOPLE).json["notes"] == []
    assert preview(api, made) == [None] * 3
    assert api.make_job(prompt=TEMPLATE)["prompt_tokens"] is None
