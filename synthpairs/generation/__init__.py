"""From captions to images (SynthVLM) or to VQ tokens without pixels (Synth2)."""
