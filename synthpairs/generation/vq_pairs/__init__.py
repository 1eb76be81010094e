"""Real pairs as VQ tokens: scenes on which the Synth2 generator and VLMs are trained, or captions with images."""
