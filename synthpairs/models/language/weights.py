"""Language model unpacked from the GGUF file of a pinned package to a Hugging Face directory."""

import tempfile
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, GgufConfig, PreTrainedTokenizerFast

from synthpairs.core.assets import model_package
from synthpairs.models.language.params import GgufSource


def unpack_gguf(source: GgufSource, out: Path) -> dict[str, int]:
    """Write the model as bfloat16 safetensors with its tokenizer and chat template; returns its counts.

    Equal input gives equal bytes. ValueError when the lock file pins no such package, or the package has no such file.
    """
    package = model_package(source.package, "language_model.package")
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / source.file).write_bytes(package.read(source.file))
        # Without `dequantize` transformers keeps the weights quantised, looks for kernels online and cannot save the model.
        model = AutoModelForCausalLM.from_pretrained(
            directory, gguf_file=source.file, dtype=torch.bfloat16, quantization_config=GgufConfig(dequantize=True)
        )
        # AutoTokenizer gives the same after parsing the file once more, which takes four seconds.
        tokenizer = PreTrainedTokenizerFast.from_pretrained(directory, gguf_file=source.file)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    (out / "model.safetensors").chmod(0o644)  # safetensors writes for the owner alone, and a DVC cache may be shared
    return {"parameters": model.num_parameters(), "vocabulary": len(tokenizer)}
