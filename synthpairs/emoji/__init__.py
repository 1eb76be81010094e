"""The emoji world: drawings, scenes composed of them, template captions, and tasks made of both."""
