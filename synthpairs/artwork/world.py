"""What the desk world is about: the concepts that its models were trained on and its captions and benchmarks speak of."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The `world` section of params.yaml; changing it asks for new desk models (see pretrain/)."""

    concepts: list[str]  # CLDR names of emoji
