"""Benchmarks of vision-language models: answers from lm-eval and lmms-eval, their scores and intervals."""
