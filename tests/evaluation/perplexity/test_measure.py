import json
import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from synthpairs.evaluation.perplexity.measure import measure_perplexity, read_text, tracked_metrics, windows
from synthpairs.evaluation.perplexity.params import PackagedText, Perplexity
from synthpairs.report.sections.perplexity import section
from synthpairs.vlm.model import save
from tests.evaluation.benchmarks.conftest import tiny_vlm  # noqa: F401
from tests.vlm.conftest import parts  # noqa: F401

TEXT = "A dog.\n\nTwo cats on red.\n"
ABSENT = "models/vlm/real/finetuned"
NO_TASK = pd.DataFrame({"arm": [], "task": [], "value": []})
WINDOWS = ["A dog.", "Two cats", " on re"]  # of 20 tokens, 8 together: the tokenizer knows bytes


@pytest.fixture
def params(tiny_vlm, tmp_path):  # noqa: F811
    """A text and three models: a language model, the VLM that contains it, and another one with the same tokenizer."""
    vlm, processor = tiny_vlm
    save(vlm, processor, tmp_path / "vlm")
    config = vlm.config.text_config
    same = LlamaForCausalLM(config)
    same.model.load_state_dict(vlm.model.language_model.state_dict())
    same.lm_head.load_state_dict(vlm.lm_head.state_dict())
    torch.manual_seed(1)
    for name, model in {"same": same, "other": LlamaForCausalLM(LlamaConfig(**config.to_dict()))}.items():
        model.to(torch.bfloat16).save_pretrained(tmp_path / name)
        processor.tokenizer.save_pretrained(tmp_path / name)
    (tmp_path / "held_out.txt").write_text(TEXT)
    models, path = [str(tmp_path / name) for name in ("same", "vlm", "other")], str(tmp_path / "held_out.txt")
    return Perplexity(models=models, text=None, path=path, tokens=20, window=8, resamples=200, seed=0)


def test_every_token_is_predicted_once_from_those_before_it(params):
    results = measure_perplexity(params, [])
    model = LlamaForCausalLM.from_pretrained(params.models[0], dtype=torch.bfloat16).float()
    tokenizer = AutoTokenizer.from_pretrained(params.models[0])
    assert [tokenizer.decode(ids) for ids in windows(TEXT, tokenizer, params)] == WINDOWS
    hostile = [token for ids in windows("A<|im_end|>", tokenizer, params) for token in ids]
    assert tokenizer.decode(hostile) == "A< |im_end|>"
    total = sum(_likelihood(model, tokenizer, window) for window in WINDOWS)
    assert (results["tokens"], results["windows"]) == (20, 3)
    first = results["models"][params.models[0]]
    assert first["value"] == pytest.approx(math.exp(-total / 20), rel=0.02)  # bfloat16 where the machine is fast at it
    assert first["low"] < first["value"] < first["high"]


def test_models_are_compared_token_by_token(params):
    results = measure_perplexity(params, [])
    same, vlm, other = params.models
    assert "against_first" not in results["models"][same]
    assert results["models"][vlm]["against_first"]["value"] == pytest.approx(1, abs=0.01)
    ratio = results["models"][other]["value"] / results["models"][same]["value"]
    assert results["models"][other]["against_first"]["value"] == pytest.approx(ratio, rel=1e-3)
    assert results == measure_perplexity(params, [])
    assert tracked_metrics(results)["perplexity"][other] == results["models"][other]["value"]
    page = section(results, pd.DataFrame({"arm": [vlm], "task": "desk_text", "value": 0.512}))
    assert page.count("| 0.512 |") == 1
    assert page.count("\n| `") == 3
    assert "x 1.000" in page


def test_unreadable_inputs_are_named(params, tmp_path):
    packaged = PackagedText(package="nobody", file="a.txt")
    for changed, message in (
        ({"text": packaged}, "set either text, of a package, or path"),
        ({"models": []}, r"perplexity\.models must be different models, at least one; got \[\]"),
        ({"path": None, "text": packaged}, r"perplexity\.text\.package must be one .*moby-dick.*'nobody'"),
        ({"path": str(tmp_path / "none.txt")}, r"perplexity\.path: .*none\.txt is not a file"),
    ):
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            read_text(replace(params, **changed))
    Path(params.path).write_text("\n\n")
    with pytest.raises(ValueError, match="the text is empty"):
        measure_perplexity(params, [])


def test_models_of_untrained_arms_are_left_out(params):
    """The first one left is the baseline; a single model, or none, gives a result."""
    same, _, other = params.models
    results = measure_perplexity(replace(params, models=[ABSENT, other, same]), ["selected"])
    assert (results["order"], results["left_out"]) == ([other, same], [ABSENT])
    assert "against_first" in results["models"][same]
    assert f"Not asked, as their arms are not trained: `{ABSENT}`." in section(results, NO_TASK)
    alone = measure_perplexity(replace(params, models=[same]), [])
    assert list(alone["models"]) == [same]
    assert f"| `{same}` |" in section(alone, NO_TASK)
    none = measure_perplexity(replace(params, models=[ABSENT]), [])
    assert tracked_metrics(none) == {"tokens": 0, "perplexity": {}}
    assert section(none, NO_TASK).endswith(f"Not asked: `{ABSENT}` belong to arms that are not trained.")
    with pytest.raises(FileNotFoundError, match=r"perplexity\.models: .*real/finetuned"):
        measure_perplexity(replace(params, models=[ABSENT]), ["real"])


def test_one_window_has_no_test(params):
    Path(params.path).write_text("A dog and two cats.")
    results = measure_perplexity(replace(params, tokens=16, window=16), [])
    assert results["windows"] == 1
    assert results["models"][params.models[1]]["against_first"]["p"] is None
    assert json.dumps(results, allow_nan=False)
    assert " | - | " in section(results, NO_TASK)


def _likelihood(model, tokenizer, window):
    ids = torch.tensor([[tokenizer.eos_token_id, *tokenizer(window)["input_ids"]]])
    with torch.no_grad():
        log_probs = model(ids).logits[0, :-1].log_softmax(-1)
    return log_probs.gather(1, ids[0, 1:, None]).sum().item()
