"""The real training pairs of the embeddings route: one list, from which its generator and its VLMs learn alike."""
