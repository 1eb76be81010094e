"""What loads weights: hub, CLIP, diffusion pipelines, VQ tokenizer, language models, sentence encoder."""
