"""Experiments in addition to the main run: trainings under several seeds, and their comparison."""
