"""Which of two pictures shows a caption better, the generated one or the real one: asked of models and of people."""
