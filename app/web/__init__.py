"""What every page and every JSON route share: answers, forms, dependencies, errors, protection."""
