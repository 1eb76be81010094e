"""The stages of dvc.yaml. Importing any of them runs this first, so a stage ends with its `dvc` from the start on."""

from synthpairs.runtime.parent import end_with_dvc

end_with_dvc()
