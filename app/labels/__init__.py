"""Labels: what agents propose and people decide, and every event that made them so."""
