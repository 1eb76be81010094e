"""Benchmarks and instruction tuning data made of emoji scenes."""
