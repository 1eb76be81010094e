"""Perplexity of language models on held-out text, before and after training on images."""
