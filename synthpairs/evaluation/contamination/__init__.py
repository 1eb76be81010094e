"""Duplicates and contamination: near duplicates, overlap with benchmarks, text and unsafe content in images."""
