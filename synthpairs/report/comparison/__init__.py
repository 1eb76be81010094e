"""Experiments and git revisions side by side, on the very questions that both answered."""
