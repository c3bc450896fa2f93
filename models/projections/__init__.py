"""How queries, keys and values are made from the input: the one thing this project varies."""

from models.projections.config import ProjectionConfig
from models.projections.projection import Projection

__all__ = ["Projection", "ProjectionConfig"]
