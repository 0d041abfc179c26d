"""Projects, the people in them, and the links that let people in."""
