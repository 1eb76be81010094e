"""How a stage is run and recorded: frame, settings, MLflow, launcher, workers, progress. No result and no stage depends on it."""
