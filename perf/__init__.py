"""Speed measurements; see perf/README.md. None is a stage, because seconds are not reproducible."""
