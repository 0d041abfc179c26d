"""How far agents are to be trusted, and where they differ: what was learned, kept for people to see."""
