import dataclasses
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText, AutoTokenizer, CLIPVisionModel, LlamaForCausalLM

from synthpairs.core.storage import file_sha256
from synthpairs.vlm.model import assemble, load, picture_tokens, save
from tests.rehearsal import load_vlm
from tests.vlm.conftest import VICUNA_SYSTEM

# Names of weights in model.safetensors.index.json of https://huggingface.co/llava-hf/llava-1.5-7b-hf, with their number where
# the language model has n layers and the vision tower m.
LLAVA_HF = {
    r"language_model\.(lm_head|model\.embed_tokens|model\.norm)\.weight": lambda n, m: 3,
    r"language_model\.model\.layers\.\d+\.(input_layernorm|post_attention_layernorm)\.weight": lambda n, m: 2 * n,
    r"language_model\.model\.layers\.\d+\.mlp\.(down|gate|up)_proj\.weight": lambda n, m: 3 * n,
    r"language_model\.model\.layers\.\d+\.self_attn\.[koqv]_proj\.weight": lambda n, m: 4 * n,
    r"multi_modal_projector\.linear_[12]\.(bias|weight)": lambda n, m: 4,
    r"vision_tower\.vision_model\.embeddings\.(class_embedding|(patch|position)_embedding\.weight)": lambda n, m: 3,
    r"vision_tower\.vision_model\.encoder\.layers\.\d+\.layer_norm[12]\.(bias|weight)": lambda n, m: 4 * m,
    r"vision_tower\.vision_model\.encoder\.layers\.\d+\.mlp\.fc[12]\.(bias|weight)": lambda n, m: 4 * m,
    r"vision_tower\.vision_model\.encoder\.layers\.\d+\.self_attn\.(k|out|q|v)_proj\.(bias|weight)": lambda n, m: 8 * m,
    r"vision_tower\.vision_model\.(post_layernorm|pre_layrnorm)\.(bias|weight)": lambda n, m: 4,
}
ROPE = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64}  # fmt: skip


def ask(processor, question):
    turn = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]}
    return processor.apply_chat_template([turn], add_generation_prompt=True)


@pytest.mark.parametrize(("select", "tokens"), [("default", 4), ("full", 5)])  # with the class token before the patches
def test_it_is_the_language_model_over_projected_patches(parts, picture, select, tokens):
    model, processor = assemble(dataclasses.replace(parts, vision_feature_select=select))
    model.float()
    inputs = processor(text="<image>dog", images=picture(0), return_tensors="pt")
    assert inputs.input_ids.tolist()[0][: tokens + 1] == [3] * tokens + processor.tokenizer("d").input_ids
    assert picture_tokens(processor) == model.config.image_seq_length == tokens
    tower = CLIPVisionModel.from_pretrained(parts.vision_tower, dtype=torch.bfloat16).float()
    llm = LlamaForCausalLM.from_pretrained(parts.llm, dtype=torch.float32)
    with torch.no_grad():
        features = tower(inputs.pixel_values, output_hidden_states=True).hidden_states[-2][:, -tokens:]
        words = llm.get_input_embeddings()(inputs.input_ids[:, tokens:])
        projected = model.model.multi_modal_projector(features)
        expected = llm(inputs_embeds=torch.cat([projected, words], dim=1)).logits
        torch.testing.assert_close(model(**inputs).logits, expected)


def test_a_reserved_token_becomes_the_image_token_without_a_new_row(parts):
    model, processor = assemble(parts)
    before = AutoTokenizer.from_pretrained(parts.llm)
    assert len(processor.tokenizer) == len(before) == model.config.text_config.vocab_size
    assert processor.image_token_id == before.convert_tokens_to_ids("<empty_output>") == model.config.image_token_id
    assert processor.tokenizer("a dog").input_ids == before("a dog").input_ids
    assert model.lm_head.weight is model.model.language_model.embed_tokens.weight


def test_without_a_reserved_token_the_embedding_grows(parts, picture, tmp_path):
    model, processor = assemble(dataclasses.replace(parts, image_token=None))
    assert processor.image_token_id == 260
    assert model.config.text_config.vocab_size == 320  # the next multiple of 64
    save(model, processor, tmp_path / "vlm")
    loaded, processor = load(tmp_path / "vlm")
    assert loaded(**processor(text="<image>dog", images=picture(0), return_tensors="pt")).logits.shape == (1, 7, 320)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_a_saved_model_gives_the_same_logits(parts, picture, tmp_path, monkeypatch, dtype):
    monkeypatch.setattr("synthpairs.core.determinism.compute_dtype", lambda: dtype)
    model, processor = assemble(parts)
    assert {weight.dtype for weight in model.model.language_model.parameters()} == {dtype}
    save(model, processor, tmp_path / "vlm")
    loaded, loaded_processor = load(tmp_path / "vlm")
    assert loaded.dtype == dtype
    assert not loaded.training
    assert ask(loaded_processor, "what?") == ask(processor, "what?")
    inputs = loaded_processor(text=ask(loaded_processor, "what?"), images=picture(0), return_tensors="pt")
    automatic = AutoModelForImageTextToText.from_pretrained(tmp_path / "vlm", local_files_only=True, dtype="auto")
    assert automatic.dtype == model.dtype == torch.bfloat16  # to which it was rounded
    if dtype == torch.float32:  # `to` bfloat16 would round the rotary frequencies too
        automatic.float(), model.float()
    with torch.no_grad():
        assert torch.equal(loaded(**inputs).logits, model(**inputs).logits)
        assert torch.equal(automatic(**inputs).logits, model(**inputs).logits)


@pytest.fixture
def long_llm(parts, tmp_path):
    """As Llama 3.1 is: a head of its own, scaled rotary frequencies, a list of special tokens beside the named ones."""
    folder = tmp_path / "long"
    shutil.copytree(parts.llm, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"tie_word_embeddings": False, "rope_parameters": ROPE | {"rope_theta": 500000.0}}
    (folder / "config.json").write_text(json.dumps(config))
    weights = load_file(folder / "model.safetensors")
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"].flip(0)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    tokenizer = json.loads((folder / "tokenizer_config.json").read_text())
    tokenizer["extra_special_tokens"] = ["<|endoftext|>", "<|im_end|>"]
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    return dataclasses.replace(parts, llm=str(folder), image_aspect_ratio="pad")


def test_a_saved_model_is_laid_out_as_llava_hfs(parts, long_llm, tmp_path):
    """What transformers 4 needs beside these names is in the JSON files, and the weights are those that were given."""
    for name, vlm in {"short": parts, "long": long_llm}.items():
        model, processor = assemble(vlm)
        save(model, processor, tmp_path / name)
        names = load_file(tmp_path / name / "model.safetensors").keys()
        shared = name == "short"  # the head, which is not saved then
        counts = {pattern: sum(bool(re.fullmatch(pattern, name)) for name in names) for pattern in LLAVA_HF}
        assert counts == {
            pattern: count(2, 3) - (shared and "lm_head" in pattern) for pattern, count in LLAVA_HF.items()
        }
        assert len(names) == sum(counts.values())
        config, processing, images, tokenizer = (
            json.loads((tmp_path / name / f"{file}.json").read_text())
            for file in ("config", "processor_config", "preprocessor_config", "tokenizer_config")
        )
        text = config["text_config"]
        assert "rope_parameters" not in text
        assert (text["rope_theta"], text["rope_scaling"]) == ((10000.0, None) if shared else (500000.0, ROPE))
        assert (config["image_token_index"], config["vision_feature_layer"]) == (3, -2)
        assert processing.keys() == {"image_token", "num_additional_image_tokens", "patch_size", "processor_class",
                                     "vision_feature_select_strategy"}  # fmt: skip
        assert images["image_processor_type"] == ("CLIPImageProcessorFast" if shared else "LlavaImageProcessorFast")
        assert tokenizer["tokenizer_class"] == "PreTrainedTokenizerFast"
        assert tokenizer.get("additional_special_tokens", []) == ([] if shared else ["<|endoftext|>", "<|im_end|>"])
        assert not isinstance(tokenizer.get("extra_special_tokens"), list)
        loaded, read = load(tmp_path / name)
        assert loaded.config.text_config.rope_parameters == model.config.text_config.rope_parameters
        assert type(read.image_processor) is type(processor.image_processor)
        assert read.image_processor.to_dict() == processor.image_processor.to_dict()
        assert loaded.state_dict().keys() == model.state_dict().keys()
        assert all(torch.equal(weight, model.state_dict()[key]) for key, weight in loaded.state_dict().items())


def test_stock_transformers_get_the_same_logits(long_llm, tmp_path):
    """By the command that other versions run as well."""
    model, processor = assemble(long_llm)
    save(model, processor, tmp_path / "vlm")
    script = Path(__file__).parents[1] / "rehearsal/load_vlm.py"
    done = subprocess.run([sys.executable, script, tmp_path / "vlm"], capture_output=True, text=True, check=True)
    result = json.loads(done.stdout)
    assert (result["missing"], result["unexpected"]) == ([], [])
    text = ask(processor, "What is this?")
    inputs = processor(text=text, images=load_vlm.picture(), return_tensors="pt")
    assert result["input_ids"] == inputs.input_ids[0].tolist()
    with torch.no_grad():
        torch.testing.assert_close(torch.tensor(result["logits"]), model.float()(**inputs).logits[0, -1, :8])


def test_weights_of_other_names_are_an_error(parts, tmp_path):
    save(*assemble(parts), tmp_path / "vlm")
    file = tmp_path / "vlm/model.safetensors"
    weights = {name.replace("vision_model.", "tower."): weight for name, weight in load_file(file).items()}
    save_file(weights, file, {"format": "pt"})
    with pytest.raises(
        ValueError, match=r"vlm has other weights than its model, first .*vision_tower.*run `dvc repro`"
    ):
        load(tmp_path / "vlm")


def test_the_same_seed_saves_the_same_bytes_and_leaves_torchs_generator_alone(parts, tmp_path):
    for name, seed in {"a": 0, "b": 0, "c": 1}.items():
        torch.rand(1)
        before = torch.random.get_rng_state()
        save(*assemble(dataclasses.replace(parts, seed=seed)), tmp_path / name)
        assert torch.equal(before, torch.random.get_rng_state())
    assert file_sha256(tmp_path / "a") == file_sha256(tmp_path / "b") != file_sha256(tmp_path / "c")


@pytest.mark.parametrize("text", ["what?", "\nwhat?", " what? "])
@pytest.mark.parametrize(
    ("chat", "prompt", "talk"),
    [
        ("chatml", "<|im_start|>user\n<image>\nwhat?<|im_end|>\n<|im_start|>assistant\n",
         "<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\na dog<|im_end|>\n"),
        ("vicuna", f"{VICUNA_SYSTEM} USER: <image> \nwhat? ASSISTANT:", f"{VICUNA_SYSTEM} USER: hello ASSISTANT: a dog</s>"),
    ],
)  # fmt: skip
def test_the_prompt_is_llavas_whatever_the_spaces(parts, chat, prompt, talk, text):
    _, processor = assemble(dataclasses.replace(parts, chat_template=chat))
    if chat == "vicuna":
        processor.tokenizer.add_special_tokens({"eos_token": "</s>"})
    assert ask(processor, text) == prompt
    turns = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "a dog"}]
    assert processor.apply_chat_template(turns) == talk


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (
            {"llm": "models/none"},
            FileNotFoundError,
            "vlm.llm: 'models/none' is neither .*`dvc repro language_model` makes",
        ),
        ({"llm": "lmsys/vicuna"}, FileNotFoundError, "vlm.llm: 'lmsys/vicuna' lacks the revision of a hub model"),
        (
            {"vision_tower": "models/none"},
            FileNotFoundError,
            "vlm.vision_tower: 'models/none' is neither a directory .the desk's are in git. nor",
        ),
        ({"image_token": "<pad>"}, ValueError, r"vlm.image_token must be null or .*<empty_output>.*, got '<pad>'"),
        ({"vision_feature_layer": 4}, ValueError, "vlm.vision_feature_layer must be from -4 to 3 .*, got 4"),
    ],
)
def test_a_wrong_part_names_the_param(parts, tmp_path, changes, error, message):
    with pytest.raises(FileNotFoundError, match="dvc repro finetune"):
        load(tmp_path)
    with pytest.raises(error, match=message):
        assemble(dataclasses.replace(parts, **changes))


def test_lm_eval_loads_the_directory(parts, picture, tmp_path):
    from lm_eval.api.instance import Instance
    from lm_eval.models.hf_vlms import HFMultimodalLM

    model, processor = assemble(parts)
    save(model, processor, tmp_path / "vlm")
    evaluated = HFMultimodalLM(pretrained=str(tmp_path / "vlm"), device="cpu", batch_size=2)
    assert evaluated.max_length == 256
    questions = [[{"role": "user", "content": f"<image>\n{what}"}] for what in ("a?", "bc?", "d?")]
    prompts = [evaluated.apply_chat_template(question) for question in questions]
    assert prompts[0] == ask(processor, "a?")
    settings = {"until": ["\n"], "max_gen_toks": 4, "do_sample": False}
    images = [{"visual": [picture(number)]} for number in range(3)]
    calls = zip(prompts, [settings] * 3, images, strict=True)
    requests = [Instance("generate_until", {}, arguments, number) for number, arguments in enumerate(calls)]
    answers = evaluated.generate_until(requests, disable_tqdm=True)
    inputs = processor(text=prompts[1], images=picture(1), return_tensors="pt")
    new = model.generate(**inputs, max_new_tokens=4)[0, inputs.input_ids.shape[1] :]
    assert answers[1] == processor.tokenizer.decode(new, skip_special_tokens=True).split("\n")[0]
