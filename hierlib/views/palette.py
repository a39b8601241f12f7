"""Colours that survive colour blindness (Okabe and Ito) and follow the page from light to dark.

Figures are drawn in the light values. The report replaces INK, PAPER, RULE, FAINT, BLUE and VERMILION in an SVG by
CSS variables of the same name, so a figure turns dark with its page; the other hues stand out on both grounds.
"""

from __future__ import annotations

INK, PAPER, RULE, FAINT = "#1d2430", "#fffffe", "#d8dce3", "#6b7484"
BLUE, VERMILION, GREEN, AMBER, PURPLE, SKY = "#0072b2", "#d55e00", "#009e73", "#e69f00", "#cc79a7", "#56b4e9"
BROWN, OLIVE, TEAL, PLUM, SLATE, BRICK = "#8a5a3c", "#86862a", "#1f8a8a", "#7a3b8f", "#56637a", "#a8324a"

LEVELS = (AMBER, GREEN, BLUE, PURPLE, VERMILION, SKY)  # coarse to fine
# ours first, in the order a figure names them; peers and classical codecs are a dozen
CODECS = (BLUE, VERMILION, GREEN, PURPLE, AMBER, SKY, BROWN, OLIVE, TEAL, PLUM, SLATE, BRICK)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "h")
DASHES = ("-", (0, (5, 2)), (0, (2, 1.4)), "-.", (0, (1, 1)), (0, (6, 1, 1, 1)), (0, (8, 2)), (0, (3, 1, 1, 1)))


def level_colour(level: int) -> str:
    """The hue of a semantic level, coarse first; more levels than hues start again."""
    return LEVELS[level % len(LEVELS)]
