"""Report page, gallery, dataset card and comparison of revisions."""
