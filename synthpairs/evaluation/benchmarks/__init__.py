"""What a vision-language model is taught with and judged by: instruction data, five benchmarks, honest numbers."""
