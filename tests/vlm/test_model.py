import dataclasses

import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoTokenizer, CLIPVisionModel, LlamaForCausalLM

from synthpairs.core.storage import file_sha256
from synthpairs.vlm.model import assemble, load, picture_tokens, save


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
        ("vicuna", "USER: <image>\nwhat? ASSISTANT:", "USER: hello ASSISTANT: a dog</s>"),
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
