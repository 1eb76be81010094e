"""How a stage is run and recorded: frame, settings, MLflow, launcher, workers, progress. No key or table depends on it."""
