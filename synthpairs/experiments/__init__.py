"""Experiments beside the main run: trials under several seeds, and what may be concluded from them."""
