"""Real pairs as VQ tokens: the one list of scenes on which the Synth2 generator and VLMs are trained."""
