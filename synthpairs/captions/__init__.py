"""Caption curation: captions from people and from a language model, filtered as in SynthVLM (stage 1 of the paper)."""
