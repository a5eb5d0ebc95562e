"""Draws the held-out pairs with the starter model, judges them, and sets beside them what no model could do better.

python -m tests.bench.engine.starter --json var/bench/starter.json --sheet var/bench/starter.png
"""

import argparse
import json
import random
import statistics
import time
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
import transformers
from diffusers import StableDiffusionPipeline

from worker.starter import autoencoder, captions, dataset, drawing, emoji, evaluation, pictures, subjects
from worker.starter.pictures import Pixels
from worker.starter.recipe import CPU
from worker.starter.subjects import Vocabulary

STARTER = Path(__file__).parents[3] / "worker/starter/starter-1"


def compose_pairs(vocabulary: Vocabulary, sprites: dict[str, Any]) -> list[Pixels]:
    """The held-out pairs as training would have composed them: the best that a judge can be shown."""
    dice = random.Random(5)
    drawn = []
    for name, colour in vocabulary.held_out:
        placed = pictures.draw_placement(dice, CPU.spread)
        drawn.append(pictures.compose_picture([(sprites[name], placed)], vocabulary.backgrounds[colour], CPU.side))
    return drawn


@torch.no_grad()
def pass_through(pipeline: StableDiffusionPipeline, composed: list[Pixels]) -> list[Pixels]:
    """The same pictures encoded and decoded: the best that a perfect denoiser could reach."""
    given = autoencoder.encode_pixels(torch.from_numpy(np.stack(composed)))
    parts = [pipeline.vae.decoder(pipeline.vae.encoder(part)) for part in given.split(16)]
    return list(autoencoder.decode_pixels(torch.cat(parts)).numpy())


def time_pictures(pipeline: StableDiffusionPipeline, steps: int, guidance: float, count: int = 7) -> float:
    """Median wall seconds for one picture at a time."""
    taken = []
    for seed in range(count):
        start = time.perf_counter()
        drawing.draw_pictures(pipeline, ["a fox on a red background"], [seed], steps, guidance)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken[1:])


def spread_of_seeds(pipeline: StableDiffusionPipeline, steps: int, guidance: float) -> float:
    """Mean absolute difference (of 255) between pictures of one prompt from neighbouring seeds."""
    drawn = np.stack(
        drawing.draw_pictures(pipeline, ["a rocket on a navy background"] * 8, list(range(8)), steps, guidance)
    ).astype(float)
    return float(np.abs(np.diff(drawn, axis=0)).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=STARTER)
    parser.add_argument(
        "--work", type=Path, default=Path("var/starter/cpu"), help="where the emoji are, or are fetched to"
    )
    parser.add_argument("--json", type=Path, default=Path("var/bench/starter.json"))
    parser.add_argument("--sheet", type=Path, default=Path("var/bench/starter.png"))
    parser.add_argument("--card", type=Path, help="a model folder that shall get the sheet at half size")
    parser.add_argument("--pairs", type=int, default=96)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--guidance", type=float)
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    diffusers.utils.logging.set_verbosity_error()
    transformers.utils.logging.set_verbosity_error()
    card = json.loads((options.model / "pressroom.json").read_text("utf-8"))
    steps = options.steps or card["default_steps"]
    guidance = options.guidance or card["default_guidance_scale"]
    emoji.fetch_packages(options.work / "npm")
    vocabulary = subjects.read_vocabulary()
    sprites = dataset.read_sprites(options.work / "npm", list(vocabulary.subjects))
    templates = evaluation.build_templates(sprites)
    pipeline = drawing.load_pipeline(options.model)
    asked = vocabulary.held_out[: options.pairs]
    composed = compose_pairs(vocabulary, sprites)[: options.pairs]
    prompts = [captions.build_plain_prompt(*pair) for pair in asked]
    drawn = drawing.draw_pictures(pipeline, prompts, [options.seed + n for n in range(len(asked))], steps, guidance)
    rows: dict[str, Any] = {}
    for title, shown in {
        "composed (no model)": composed,
        "composed, through the autoencoder": pass_through(pipeline, composed),
        "drawn": drawn,
    }.items():
        verdicts = [
            evaluation.evaluate_picture(picture, pair, vocabulary, templates)
            for picture, pair in zip(shown, asked, strict=True)
        ]
        backgrounds, right = evaluation.compute_shares(verdicts)
        rows[title] = {"backgrounds": backgrounds, "subjects": right}
    mistaken = [f"{v.asked[0]} -> {v.subject}" for v in verdicts if v.subject != v.asked[0]]
    result = {
        "pairs": len(asked),
        "steps": steps,
        "guidance_scale": guidance,
        "seconds_per_picture": time_pictures(pipeline, steps, guidance),
        "difference_between_seeds": spread_of_seeds(pipeline, steps, guidance),
        "shares": rows,
        "mistaken": mistaken,
    }
    report(result)
    for path in (options.json, options.sheet):
        path.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    sheet = pictures.build_contact_sheet(drawn, 12)
    sheet.save(options.sheet)
    if options.card:
        sheet.reduce(2).quantize(192).save(options.card / "samples.png", optimize=True)


def report(result: dict[str, Any]) -> None:
    print(f"{result['pairs']} held-out pairs, {result['steps']} steps, guidance {result['guidance_scale']}\n")
    print(f"{'pictures':36}{'backgrounds right':>20}{'subjects right':>18}")
    for title, share in result["shares"].items():
        print(f"{title:36}{share['backgrounds']:>19.1%}{share['subjects']:>17.1%}")
    print(f"\n{result['seconds_per_picture']:.2f} s a picture, one at a time on {torch.get_num_threads()} threads")
    print(f"pictures of one prompt differ between seeds by {result['difference_between_seeds']:.1f} of 255")
    print("taken for another: " + ("; ".join(result["mistaken"]) or "none"))


if __name__ == "__main__":
    main()
