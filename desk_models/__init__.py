"""Training of the desk models on emoji drawings: `dvc --cd desk_models repro`. The main pipeline does not import it."""
