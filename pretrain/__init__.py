"""Trains the desk models from the artwork; run `dvc repro pretrain/dvc.yaml`. Nothing at run time needs this package."""
