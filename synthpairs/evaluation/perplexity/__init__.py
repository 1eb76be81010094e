"""How well language models foresee text that nothing here was trained on, before and after they learn about pictures."""
