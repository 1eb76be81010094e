"""Learning curves of the Synth2 route: how good captions are after so many steps of alignment, for several seeds."""
