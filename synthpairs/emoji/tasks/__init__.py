"""Benchmarks and instruction data made of emoji scenes."""
