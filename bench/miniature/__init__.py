"""The miniature study: all objectives in a world whose every prediction is known in closed form; see docs/study.md."""
