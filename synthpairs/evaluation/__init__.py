"""Evaluation: benchmarks, preference, perplexity, diversity, distributions, contamination, and their statistics."""
