"""Pictures from captions, by any diffusers text-to-image pipeline, in byte-exact shards."""
