"""Trains the desk models from the artwork; run `dvc --cd desk_models repro`. Nothing at run time needs this package."""
