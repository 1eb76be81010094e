"""Image-caption training sets for vision-language models, made from captions alone."""
