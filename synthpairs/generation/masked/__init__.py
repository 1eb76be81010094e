"""Image embeddings from captions, without pixels: grids of codes by masked decoding, in byte-exact shards."""
