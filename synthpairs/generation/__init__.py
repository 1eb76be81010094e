"""From captions to candidate images (SynthVLM) or VQ tokens without pixels (Synth2), and real pairs as VQ tokens."""
