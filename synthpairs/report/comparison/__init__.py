"""Comparison of experiments and git revisions on the same benchmark questions."""
