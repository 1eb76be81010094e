"""What the data is worth: benchmarks, preference, perplexity, diversity, distributions, contamination, and their statistics."""
