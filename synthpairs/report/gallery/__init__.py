"""The pairs with their pictures and scores as one static page that opens from disk."""
