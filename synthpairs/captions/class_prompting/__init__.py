"""Class prompting: a language model writes captions from class names alone, as in Synth2 and SynthCLIP."""
