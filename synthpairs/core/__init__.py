"""What all packages share: params, arms, table schemas, storage, image decoding, determinism."""
