"""What every part shares: params, tables and their schema, storage, images, determinism; nothing of the method."""
