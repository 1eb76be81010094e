"""The hygiene of the data: near duplicates, what is shared with the benchmarks, text and unsafe content in pictures."""
