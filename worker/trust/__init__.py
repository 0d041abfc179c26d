"""How far agents are to be trusted: learned from answers that were given without their suggestions in view."""
