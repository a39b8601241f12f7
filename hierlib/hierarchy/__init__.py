"""Classes into levels: the table, WordNet, CLIP, the groupings made from them, and how good they are (paper Sec. 3)."""

from .tree import Hierarchy, load, shipped_names

__all__ = ["Hierarchy", "load", "shipped_names"]
