"""Selection of the best candidates, the training pairs of the arms, and export for trainers.

Candidates (all generated images, with scores) are ranked; the first k are selected; an arm's training pairs are the selected
ones, as many random candidates, or as many real pairs. `mixing` draws those of the Synth2 route.
"""
