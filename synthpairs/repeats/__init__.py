"""The main run's arms trained again under other seeds: how far its numbers hang on how one training happened to go."""
