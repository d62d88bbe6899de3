"""Loss terms as people see them: those that are shown first, and what they are called."""

MAIN_TERMS = ("content", "style")
"""The terms that are shown beside the total where there is no room for all of them."""


def label_of(term: str) -> str:
    """Return what a term is called on pages and plots, before the word `loss`."""
    return "smoothness" if term == "tv" else term
