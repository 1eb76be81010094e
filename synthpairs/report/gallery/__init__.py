"""Static page to browse the pairs with their images and scores from disk."""
