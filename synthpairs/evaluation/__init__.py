"""Evaluation: benchmarks, preference, perplexity, diversity, distributions, contamination, and the statistics of all."""
