"""Stage `generate_tokens`: grids of VQ tokens for every filtered class caption, in shards; run by `dvc repro generate_tokens`."""

from pathlib import Path

from synthpairs.core.storage import read_table
from synthpairs.generation.masked.make import make_token_grids
from synthpairs.generation.masked.params import GenerateTokens
from synthpairs.runtime.stage import Result, run_stage, stage


@stage(metrics="reports/metrics/generate_tokens.json")
def main(generate_tokens: GenerateTokens) -> Result:
    """Write data/generated_tokens."""
    captions = read_table(Path("data/filtered_captions/kept.parquet"), "dvc repro filter_captions")
    return make_token_grids(captions, generate_tokens, Path("data/generated_tokens"))


if __name__ == "__main__":
    run_stage(main)
