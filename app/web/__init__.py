"""What every page and every JSON route share: answers, forms, dependencies, errors, protection."""

from app.web.addresses import read_keys_in_addresses

# Before any room makes a route.
read_keys_in_addresses()
