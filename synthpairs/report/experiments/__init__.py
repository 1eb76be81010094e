"""Pages of the experiments, in reports/experiments: over several seeds, and beside the main run."""
