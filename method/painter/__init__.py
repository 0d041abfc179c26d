"""A painter by rules: pictures whose attributes are known because it painted them so. No web, no database."""
