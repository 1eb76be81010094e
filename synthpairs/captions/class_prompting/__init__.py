"""Captions that a language model invents about classes, as in Synth2 and SynthCLIP; nothing but class names goes in."""
