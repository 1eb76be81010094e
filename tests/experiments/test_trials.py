"""Finished trials are not run again, also where only the page about them has changed."""

from pathlib import Path

import pytest

from synthpairs.core.source import import_closure
from synthpairs.experiments.trials import Trial, answer_rows, run_trials


@pytest.mark.parametrize("experiment", ["learning_curves", "strategies", "seeds"])
def test_no_page_is_part_of_the_code_of_a_trial(experiment):
    closure = import_closure(Path(f"synthpairs/experiments/{experiment}.py"))
    assert Path("synthpairs/vlm/training.py") in closure
    assert not [path for path in closure if path.parts[:2] == ("synthpairs", "report")]


def test_a_finished_trial_is_not_run_again(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    runs = []

    def run(folder):
        runs.append(folder)
        return answer_rows("desk_vqa", ["a"], ["dog"], [1.0])

    first, again = (run_trials("seeds", "f", [Trial(set="selected", seed=1, run=run)]) for _ in range(2))
    assert len(runs) == 1
    assert again.equals(first)
    run_trials("seeds", "other", [Trial(set="selected", seed=1, run=run)])
    assert len(runs) == 2
