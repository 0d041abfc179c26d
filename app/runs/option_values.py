"""Values of options as a form shows and sends them: text."""

from method.training.config_fields import Field


def as_text(value: object) -> str:
    """A value as a form field shows it; lists have one item a line."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:g}" if float(f"{value:g}") == value else repr(value)
        case list() | tuple():
            return "\n".join(as_text(each) for each in value)
    return str(value)


def from_text(field: Field, text: str) -> object:
    """The value that is meant; text that cannot be one stays text, which the option then refuses."""
    if field.kind == "array":
        lines = (line.strip() for line in text.splitlines())
        return [from_text(field.item, line) for line in lines if line]
    text = text.strip()
    if field.kind == "boolean":
        return {"true": True, "false": False}.get(text, text)
    if field.kind == "integer":
        try:
            return int(text)
        except ValueError:
            return text
    return text
