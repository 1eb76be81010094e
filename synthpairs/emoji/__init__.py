"""Real drawings and the scenes composed of them: the pictures of the desk world."""
