"""Images from captions by any diffusers text-to-image pipeline."""
