"""placeholder"""
def render_search(found: object) -> str:
    """The page."""
    return ""
