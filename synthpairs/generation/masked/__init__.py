"""VQ tokens from captions by masked decoding, without pixels (Synth2)."""
