"""Classes into levels: the table, WordNet, CLIP, the groupings made from them, and how good they are (paper Sec. 3)."""

from .locate import shipped_names
from .tree import Hierarchy, load

__all__ = ["Hierarchy", "load", "shipped_names"]
