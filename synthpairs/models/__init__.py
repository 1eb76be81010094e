"""Loading of pretrained models: hub, CLIP, diffusion pipelines, VQ tokenizer, language models, sentence encoder."""
