# ruff: noqa: PLC0415  (torch takes seconds to import, and collecting tests should not)
"""Models of which some cannot be used: the others are offered, and each broken one says why."""

import json
import shutil

import numpy as np
import pytest

from api.runtime.model_cache import ModelCache
from common.errors import ModelUnavailableError
from common.models import availability, catalog
from common.states.jobs import JobStatus
from common.tables import Press
from tests.support import factories
from tests.support.press_fixture import open_press_fixture
from worker.engine.factory import open_engine
from worker.metering.meter import Meter
from worker.press import runner

CLOSE = 2
"""Levels of 255 by which rounding may differ."""

GOOD = ("flux", "sd15", "sdxl")

pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning:diffusers"), pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def directories(tmp_path_factory):
    """Three models that work, and three that are broken in different ways, by their names."""
    import torch

    from tests.support.engine import broken_models

    torch.set_num_threads(1)
    return broken_models.save_models(tmp_path_factory.mktemp("models"))


def open_fixture(database, folder, directories, *names):
    models = ",".join(str(directories[name]) for name in names)
    return open_press_fixture(database, folder, PRESSROOM_MODELS=models, PRESSROOM_DEVICE="cpu")


def open_press(fixture):
    return fixture.press(engine=lambda _: open_engine(fixture.settings, Meter()))


def test_a_press_offers_the_models_that_work_and_says_why_the_others_do_not(sqlite_database, tmp_path, directories):
    names = ("failing", "flux", "without-part", "sd15", "damaged", "sdxl")
    fixture = open_fixture(sqlite_database, tmp_path, directories, *names)
    jobs = [factories.submit(sqlite_database, request={"model": name, "steps": 2}) for name in GOOD]
    with open_press(fixture) as press:
        assert press.models == list(GOOD)
        for _ in jobs:
            runner.run_next_job(press)
        cards = ModelCache(sqlite_database).cards()
        with sqlite_database.reading() as session:
            assert session.get_one(Press, press.id).models == list(GOOD)
    assert [factories.read(sqlite_database, job.id).status for job in jobs] == [JobStatus.SUCCEEDED] * 3
    faults = {card.name: card.fault for card in cards}
    assert list(faults) == list(names), "in the order of the setting"
    assert {name for name, fault in faults.items() if fault is None} == set(GOOD)
    assert faults["without-part"] == "The model without-part lacks the folder vae."
    assert "damaged/unet/" in faults["damaged"]
    assert "are damaged" in faults["damaged"]
    assert faults["failing"].startswith("The model failing fails when it is tried: ")
    assert str(tmp_path.parent) not in "".join(filter(None, faults.values())), (
        "where the files are is nobody's business"
    )


def test_a_press_without_any_working_model_leaves_the_reasons_behind(sqlite_database, tmp_path, directories):
    fixture = open_fixture(sqlite_database, tmp_path, directories, "damaged")
    with pytest.raises(ModelUnavailableError, match="are damaged"), open_press(fixture):
        pass
    (card,) = ModelCache(sqlite_database).cards()
    assert "are damaged" in availability.find_unavailable_reason(card, served=())


def test_a_model_that_is_repaired_is_offered_again(sqlite_database, tmp_path, directories):
    with sqlite_database.transaction() as session:
        card = catalog.read_card(directories["sd15"])
        catalog.register_models(session, [catalog.mark_faulty(card, None, "It was broken.")])
    with open_press(open_fixture(sqlite_database, tmp_path, directories, "sd15")) as press:
        assert press.models == ["sd15"]
    with sqlite_database.reading() as session:
        assert [card.fault for card in catalog.load_cards(session)] == [None]


def test_a_model_saved_without_an_optional_part_is_loaded(tmp_path):
    from diffusers import StableDiffusion3Pipeline

    from tests.support.engine import tiny_pipelines

    whole = tiny_pipelines.save("sd3", tmp_path / "whole")
    pipeline = StableDiffusion3Pipeline.from_pretrained(whole, text_encoder_3=None, tokenizer_3=None)
    pipeline.save_pretrained(tmp_path / "small")
    shutil.copy(whole / "pressroom.json", tmp_path / "small")
    assert try_directory(tmp_path / "small").fault is None


def test_a_pipeline_that_needs_a_picture_is_offered_for_pictures_only(directories, tmp_path):
    directory = shutil.copytree(directories["flux"], tmp_path / "from-pictures")
    index = directory / "model_index.json"
    index.write_text(index.read_text().replace('"FluxPipeline"', '"FluxImg2ImgPipeline"'))
    card = try_directory(directory)
    assert (card.fault, card.modes) == (None, ["image"])


def test_a_pipeline_whose_tensors_have_a_range_of_their_own_is_delivered_as_it_decodes_them(tmp_path):
    """Kandinsky 3 hands out values from -1 to 1 as tensors, whose lower half would be cut to black."""
    from diffusers import Kandinsky3Pipeline

    from tests.support.engine import tiny_pipelines
    from worker.engine.interface import NullObserver

    directory = tiny_pipelines.save("kandinsky3", tmp_path / "kandinsky3")
    engine = make_engine(directory)
    assert engine.load()["kandinsky3"].fault is None
    request = factories.image_request(model="kandinsky3", steps=2, width=64, height=64, guidance_scale=3.0, seed=3)
    (picture,) = engine.generate(request, NullObserver())
    import torch

    stock = Kandinsky3Pipeline.from_pretrained(directory)
    stock.set_progress_bar_config(disable=True)
    (wanted,) = stock(
        request.prompt,
        num_inference_steps=2,
        width=64,
        height=64,
        guidance_scale=3.0,
        generator=torch.Generator().manual_seed(3),
    ).images
    difference = np.asarray(picture.pixels).astype(int) - np.asarray(wanted).astype(int)
    assert abs(difference).max() <= CLOSE


def make_engine(directory):
    from common.settings import Settings

    return open_engine(Settings(models=(str(directory),), device="cpu"), Meter())


def try_directory(directory):
    engine = make_engine(directory)
    ((_, card),) = engine.load().items()
    engine.close()
    assert json.loads(card.model_dump_json())
    return card
