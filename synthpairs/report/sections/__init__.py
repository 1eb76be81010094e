"""Sections of the report and pages of the experiments, one module each."""
