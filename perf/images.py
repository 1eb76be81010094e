"""Speed of stage `images` beside a bare loop over diffusers' pipeline: `python -m perf.images`."""

import argparse
import time

import torch

from perf.paired import at_least, ratio, seconds_in_turns, spread, with_interval
from synthpairs.core.config import load_params
from synthpairs.core.schema import digest
from synthpairs.generation.diffusion.generator import Generator
from synthpairs.generation.diffusion.params import Images
from synthpairs.runtime.stage import run_stage


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0], prog="python -m perf.images")
    parser.add_argument("--rounds", type=int, default=7, help="timed batches of each (default: 7)")
    options = parser.parse_args()
    at_least(1, rounds=options.rounds)
    params = load_params(Images, "images")
    generator = Generator(params)
    keys = [digest(index) for index in range(params.batch_size)]
    texts = ["a red fox on a white background"] * params.batch_size

    def bare() -> None:
        with torch.inference_mode():
            generator.pipeline(
                texts,
                num_inference_steps=params.num_inference_steps,
                guidance_scale=params.guidance_scale,
                height=params.image_size,
                width=params.image_size,
                output_type="np",
            )

    mine, theirs = seconds_in_turns(
        (lambda: generator.generate_images(keys, texts), bare), options.rounds, time.perf_counter
    )
    rate = spread([len(keys) / seconds for seconds in mine])
    print(f"a bare loop: {with_interval(ratio(theirs, mine))} times our seconds")
    print(f"ours: {with_interval(rate)} images a second, {generator.threads} threads")


if __name__ == "__main__":
    run_stage(main)
