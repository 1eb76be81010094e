"""How a stage is run and recorded: frame, settings, MLflow, launcher, workers, progress. No output depends on it."""
