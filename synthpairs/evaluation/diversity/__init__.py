"""How evenly a set of captions spreads over the meanings that all sets together hold, as Synth2 measures it."""
