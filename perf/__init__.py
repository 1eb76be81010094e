"""Speed, measured side by side; see perf/README.md. Nothing here is a stage: seconds are not the same twice."""
