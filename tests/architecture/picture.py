"""Draws how the rooms stand on each other, from what their modules import, as Mermaid text.

Run `python -m tests.architecture.picture` to write it anew into docs/architecture.md.
"""

import ast
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- drawn from the imports -->\n", "<!-- end of what is drawn -->\n"
PACKAGES = ("worker", "app", "method", "taxonomy")
# Modules of `app` that are no room, by what they are together; rooms are its folders.
ENTRY = ("main", "cli", "commands", "serving", "up", "demo", "doctor", "health", "tables")
GROUND = (
    "database", "migrations", "extras", "embedded", "settings", "errors", "stopping", "closing", "pulse", "listening", "folders", "handing_on", "csv_cells", "latex", "intervals", "agreement", "outgoing",
)  # fmt: skip
LABELS = {
    "app.entry": "entry: main, cli, up, demo ...",
    "app.ground": "ground: database, settings, errors, embedded ...",
    "worker.jobs": "jobs: whatever of worker knows app",
}

Graph = Mapping[str, set[str]]


def draw() -> str:
    """The picture; raises graphlib.CycleError where rooms stand on each other in a circle."""
    rooms = arrows(dict(imports()))
    # From the top down, so that no arrow of the drawing leads upwards; in the same order on every machine.
    known = {room: sorted(rooms[room]) for room in sorted(rooms)}
    order = [*TopologicalSorter(known).static_order()][::-1]
    lines = ["```mermaid", "flowchart TD"]
    for package in PACKAGES:
        inside = [room for room in order if room.split(".")[0] == package]
        nodes = [f'{_id(room)}["{LABELS.get(room, room.rpartition(".")[2])}"]' for room in inside]
        if inside == [package]:
            lines += [f"  {node}" for node in nodes]
        else:
            lines += [f"  subgraph {package}", *(f"    {node}" for node in nodes), "  end"]
    kept = without_shortcuts(rooms)
    lines += [f"  {_id(room)} --> {_id(below)}" for room in order for below in sorted(kept[room])]
    return "\n".join([*lines, "```", ""])


def _id(room: str) -> str:
    return room.replace(".", "_")


def arrows(modules: Graph) -> dict[str, set[str]]:
    """Which rooms each room needs. Pages and API may show any room, and tables stand on the ground."""
    knows_app = _that_reach(modules, "app")
    rooms: dict[str, set[str]] = defaultdict(set)
    for module, needed in modules.items():
        if module in ("app", "worker"):
            continue
        room = room_of(module, knows_app)
        rooms[room] |= set()
        if is_page(module):
            continue
        for other in needed - {"app", "worker"}:
            if not (other.startswith("app.") and other.endswith(".models")):
                rooms[room].add(room_of(other, knows_app))
        rooms[room].discard(room)
    return rooms


def is_page(module: str) -> bool:
    last = module.rpartition(".")[2]
    return module.startswith("app.") and (last in ("pages", "api") or last.endswith("_pages"))


def room_of(module: str, knows_app: Collection[str]) -> str:
    package, _, rest = module.partition(".")
    first = rest.partition(".")[0]
    match package:
        case "app" if first in ENTRY:
            return "app.entry"
        case "app" if first in GROUND:
            return "app.ground"
        case "app":
            return f"app.{first}"
        case "worker" if module in knows_app:
            return "worker.jobs"
        case "worker":
            return f"worker.{first}"
    return package


def _that_reach(modules: Graph, package: str) -> set[str]:
    """The modules of `worker` that import a package, by however many others."""
    found = {name for name in modules if name.split(".")[0] == package}
    size = 0
    while size != len(found):
        size = len(found)
        found |= {name for name, needed in modules.items() if found & set(needed)}
    return {name for name in found if name.startswith("worker.")}


def without_shortcuts(rooms: Graph) -> dict[str, set[str]]:
    """The arrows that do not follow from others."""

    def below(room: str) -> set[str]:
        return set(rooms[room]).union(*(below(each) for each in rooms[room]))

    return {
        room: {each for each in needed if not any(each in below(other) for other in needed)}
        for room, needed in rooms.items()
    }


def imports() -> Iterator[tuple[str, set[str]]]:
    """Each module of ours with those of ours that it imports."""
    paths = {_name_of(path): path for each in PACKAGES for path in (ROOT / each).rglob("*.py")}
    for name, path in paths.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        targets = {target for node in ast.walk(tree) for target in _targets(node)}
        yield name, {found for each in targets if (found := _module_of(each, paths))}


def _name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _targets(node: ast.AST) -> list[str]:
    match node:
        case ast.Import(names=names):
            return [each.name for each in names]
        case ast.ImportFrom(module=str(module), names=names):
            return [f"{module}.{each.name}" for each in names]
    return []


def _module_of(target: str, known: Collection[str]) -> str:
    """The module that an import names, itself or by something in it; nothing where it is not ours."""
    while target and target not in known:
        target = target.rpartition(".")[0]
    return target


def main() -> None:
    """Write the picture anew."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(before + BEGIN + draw() + END + after, encoding="utf-8")


if __name__ == "__main__":
    main()
