"""How a stage is run and recorded: frame, MLflow, launcher, workers, progress. It changes no result: no stage depends on it."""
