"""Where criteria and labels meet: the tree with its counts, undoing, checking, publishing."""
