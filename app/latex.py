"""Text for LaTeX."""

LATEX = {
    "\\": r"\textbackslash{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


def escape_latex(text: str) -> str:
    """Text as LaTeX prints it: what has a meaning there is written out."""
    return "".join(LATEX.get(sign, sign) for sign in text)
