"""Caption curation: reference and generated captions, filtered as in stage 1 of SynthVLM."""
