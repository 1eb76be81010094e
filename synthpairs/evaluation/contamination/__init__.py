"""Duplicates and contamination in the data: near duplicates, overlap with the benchmarks, text and unsafe content in images."""
