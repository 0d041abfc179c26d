"""The demo project: paintings that Morelli draws itself, with a ground truth it knows."""
