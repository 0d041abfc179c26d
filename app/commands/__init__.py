"""Groups of subcommands of `morelli` (`app.cli` puts them together)."""
