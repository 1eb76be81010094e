"""What all packages share: params, table schemas, storage, image decoding, determinism; nothing of the method."""
