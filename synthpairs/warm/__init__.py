"""Stages that start at once, each as a fork of one process that has imported everything: `python -m synthpairs warm dvc repro`.

Importing torch and the libraries around it takes a stage four to six seconds, and a whole graph starts three dozen of them. The
command that is run finds a `python` first on its PATH, which hands `python -m stages.NAME` over to that process and runs anything
else as ever. Stages, dvc.yaml and dvc.lock know nothing of it, and what is made has the same bytes.
"""
