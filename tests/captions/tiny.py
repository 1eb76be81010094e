"""Tiny random models of the real classes."""

from tokenizers import Tokenizer, decoders, models, pre_tokenizers

TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
MERGES = [("Y", "e"), ("Ye", "s"), ("N", "o")]  # makes Yes and No one token each


def save_language_model(folder):
    """A two-layer Llama with a byte-level tokenizer."""
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    words = [*special, *sorted(pre_tokenizers.ByteLevel.alphabet()), *("".join(pair) for pair in MERGES)]
    raw = Tokenizer(models.BPE(vocab={word: number for number, word in enumerate(words)}, merges=MERGES))
    raw.pre_tokenizer, raw.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    more = {"initializer_range": 0.3, "tie_word_embeddings": True, "max_position_embeddings": 4096}
    return save_llama(folder, raw, special, **more)


def save_llama(folder, raw, special, **config):
    """A two-layer Llama for a tokenizer, whose first tokens are `special`: unknown, start, end."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    raw.add_special_tokens(special)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token=special[1], eos_token=special[2], pad_token=special[2], unk_token=special[0]
    )
    tokenizer.chat_template = TEMPLATE
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LlamaForCausalLM(
            LlamaConfig(
                hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
                vocab_size=raw.get_vocab_size(), bos_token_id=1, eos_token_id=2, pad_token_id=2, **config,
            )
        )  # fmt: skip
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_blip(folder, image_size=16):
    """A BLIP image-text matching model of two by two patches with a tokenizer of letters."""
    import torch
    from transformers import BertTokenizer, BlipConfig, BlipForImageTextRetrieval, BlipImageProcessor, BlipProcessor

    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    size = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = size | {
        "vocab_size": len(words), "encoder_hidden_size": 16, "max_position_embeddings": 64, "projection_dim": 8,
        "bos_token_id": 2, "sep_token_id": 3, "pad_token_id": 0, "initializer_range": 0.5,
    }  # fmt: skip
    vision = size | {
        "image_size": image_size,
        "patch_size": image_size // 2,
        "projection_dim": 8,
        "initializer_range": 0.5,
    }
    config = BlipConfig(text_config=text, vision_config=vision, projection_dim=8, image_text_hidden_size=8)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = BlipForImageTextRetrieval(config)
    model.save_pretrained(folder)
    tokenizer = BertTokenizer(vocab={word: number for number, word in enumerate(words)})
    BlipProcessor(BlipImageProcessor(size={"height": image_size, "width": image_size}), tokenizer).save_pretrained(
        folder
    )
    return folder
