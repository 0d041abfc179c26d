"""Programs that measure. Each prints what it did, with machine and versions; see bench/README.md."""
