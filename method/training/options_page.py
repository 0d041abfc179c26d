"""Writes `docs/training-options.md`: every option of a training run with its kind, default and meaning.

    python -m method.training.options_page

A test fails while the page is older than the config.
"""

import sys
from pathlib import Path

from method.training.config_fields import Field, all_fields, sections

PAGE = Path(__file__).resolve().parents[2] / "docs" / "training-options.md"
HEAD = """# All options of a training run

Written by `python -m method.training.options_page` from `method/training/config.py`. What they are for: [training.md](training.md).

"""


def options_page() -> str:
    rows: dict[str, list[str]] = {name: [] for name in sections()}
    for field in all_fields().values():
        rows[field.section].append(_row(field))
    tables = [
        f"## {name or 'The run'}\n\n{sections()[name]}\n\n| option | kind | default | meaning |\n"
        f"| --- | --- | --- | --- |\n" + "\n".join(lines)
        for name, lines in rows.items()
    ]
    return HEAD + "\n\n".join(tables) + "\n"


def _row(field: Field) -> str:
    kind = " \\| ".join(field.choices) or field.kind
    default = field.default
    if isinstance(default, tuple):
        default = ", ".join(map(str, default))
    shown = "**needed**" if field.is_needed else "none" if default in (None, "") else default
    return f"| `{field.path}` | {kind} | {shown} | {field.help} |"


def main() -> int:
    PAGE.write_text(options_page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
