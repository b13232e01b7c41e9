"""
What a job or a stored result uses: the code and the data files behind a command, a function or a notebook, and their fingerprints.

Code comes in *parts*. For the workflow a part is a module such as ``figures_pkg/twin/render.py``. Only in the ``__init__`` of a package and in the
modules at the package's top (the command line), which gather unrelated things, a part is one name: ``figures_pkg/cli.py::_twin``. So a
re-export leads to the module that defines the name, and to nothing else. For a stored result every name is a part of its own. What a module
whose parts are names executes beyond imports and definitions is its part ``…::import``; all that lies below a package uses that of the package.

A part uses what it imports, inside functions too, and the data files that it names. The name is a string such as ``"ermno3.yaml"``, in
the file's own folder or beside the names of the folders on the way there; or one to be completed, such as
``f"{name}.yaml"``. A completed name counts where it is written: in a part that imports the completing one. A preset brings its ``base:``.
A scan's preset is written nowhere in the code of the jobs that read the scan, but the scan depends on it. A notebook that
completes names and writes none of them depends on all files that it could name.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]  # the folder that holds the package, in a checkout its root
PACKAGE = "figures_pkg"
BASE = re.compile(r"^base:\s*([\w-]+)", re.MULTILINE)
COMPLETED = re.compile(r".*\*[^*]*\.\w+")  # "*.cif", "*_rings.csv": the end of a file's name is fixed
CELL = re.compile(r"^```\{code-cell\}[^\n]*\n(?:---\n(.*?)^---\n|((?::[^\n]*\n)*))(.*?)^```$", re.MULTILINE | re.DOTALL)
ELSEWHERE = {"data_manifest.yaml"}  # which manifest a job reads depends on its source; the rules name it


def code_cells(text: str) -> list[tuple[str, str]]:
    """The code cells of a text notebook, each its metadata in YAML ("" without any) and its source without magics; as jupytext in a tenth of its time."""
    cells = []
    for block, options, source in CELL.findall(text):
        lines = [line for line in source.splitlines(keepends=True) if not line.lstrip().startswith(("%", "!"))]
        cells.append((block or options.replace("\n:", "\n").removeprefix(":"), "".join(lines)))
    return cells


class Top(NamedTuple):
    """The statements at the top of a module: imports, definitions by name, and what else is executed."""

    imports: list[ast.stmt]
    defined: dict[str, list[ast.stmt]]
    executed: list[ast.stmt]


class Code:
    """The package in one checkout, read once; ``by_name`` makes every name a part of its own, as for stored results."""

    def __init__(self, root: str | Path = ROOT, by_name: bool = False):
        self.root, self.by_name = Path(root), by_name
        for name in ("behind_command", "behind_notebook", "fingerprint", "data_of", "uses", "_tree", "top", "_file", "_nodes", "_literals"):
            setattr(self, name, cache(getattr(self, name)))
        inside = [p for p in (self.root / PACKAGE).rglob("*") if p.is_file() and p.suffix != ".py" and "__pycache__" not in p.parts]
        beside = [*self.root.glob("*.yaml"), *self.root.glob("book/*.yaml")]
        self.data = sorted({path.relative_to(self.root).as_posix() for path in inside + beside} - ELSEWHERE)

    def behind(self, *names: str) -> list[str]:
        """Parts that functions or modules use, themselves included; a dotted name of a package stands for all that its ``__init__`` offers."""
        return self._behind({part for name in names for part in self._resolve(PACKAGE, tuple(name.split(".")[1:]))})

    def behind_command(self, command: str, *picked: str) -> list[str]:
        """
        Parts that a command of the package uses, from the function that runs it on.

        Names of data files that are ``picked`` for it, a preset for instance, stand for those written in the code.
        """
        for path in sorted((self.root / PACKAGE).glob("*.py")):
            part = path.relative_to(self.root).as_posix()
            if function := _function_of(command, self._tree(part)):
                return self._behind({f"{part}::{function}"}, picked)
        raise ValueError(f"no module in {PACKAGE}/ has a command {command!r}, by add_parser({command!r}) and set_defaults(run=…)")

    def behind_notebook(self, path: str | Path) -> list[str]:
        """Parts that the code cells of a text notebook use; ``path`` is absolute or relative to the checkout."""
        part = (self.root / path).relative_to(self.root).as_posix()
        return [found for found in self._behind({part}) if found != part]

    def fingerprint(self, part: str) -> str:
        """SHA-256 of a data file, or of parsed code without its docstrings; comments and layout do not count."""
        if part in self.data:
            return hashlib.sha256((self.root / part).read_bytes()).hexdigest()
        return hashlib.sha256(_plain_code(self._statements(part)).encode()).hexdigest()

    def digest(self, parts: Iterable[str]) -> str:
        """One SHA-256 for the fingerprints of several parts, in any order."""
        lines = sorted(f"{self.fingerprint(part)} {part}" for part in parts)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def uses(self, part: str) -> frozenset[str]:
        """Parts that a part of the code imports, and those of its own module that it names; none for a data file."""
        file, _, name = part.partition("::")
        if file in self.data:
            return frozenset()
        package = ".".join(file.split("/")[:-1])  # as relative imports see it
        nodes, found = self._nodes(part), set()
        chains, imports = _chains(nodes), list(_imports(nodes, package))
        if name:
            heads, top = {chain[0] for chain in chains}, self.top(file)
            imports += [each for each in _imports(top.imports, package) if each[0] in heads]
            found |= {f"{file}::{head}" for head in heads & set(top.defined)}
        for alias, module, rest in imports:
            for tail in {chain[1:] for chain in chains if chain[0] == alias} or {()}:
                found |= self._resolve(module, rest + tail)
        return frozenset(found)

    def _behind(self, parts: Collection[str], picked: Collection[str] = ()) -> list[str]:
        """Everything that parts use, directly or through each other, with the data files."""
        found, waiting = set(parts), list(parts)
        while waiting:
            new = self.uses(waiting.pop()) - found
            found |= new
            waiting += new
        return sorted(found | self._data_files(found, picked))

    def _resolve(self, module: str, rest: tuple[str, ...]) -> set[str]:
        """The parts behind an attribute of a module; a name that is not found there stands for everything in it."""
        part = self._file(module)
        if part is None:
            return set()
        names = module.split(".")
        faces = filter(None, (self._file(".".join(names[:depth])) for depth in range(1, len(names) + 1)))
        executed = {f"{face}::import" for face in faces if self._has_names(face) and self.top(face).executed}
        if not rest or not self._has_names(part):
            return executed | {part}
        top, name, after = self.top(part), rest[0], rest[1:]
        for alias, origin, found in _imports(top.imports, ".".join(part.split("/")[:-1])):
            if alias == name and (origin, found) != (module, rest[:1]):
                return executed | self._resolve(origin, found + after)
        if name in top.defined:
            return executed | {f"{part}::{name}"}
        return executed | (self._resolve(f"{module}.{name}", after) or {part})

    def _has_names(self, file: str) -> bool:
        """Whether the parts of a module are its names."""
        return file.startswith(PACKAGE) and (self.by_name or file.endswith("/__init__.py") or file.count("/") == 1)

    def _data_files(self, parts: set[str], picked: Collection[str]) -> set[str]:
        """Data files that parts read, each with its base."""
        found = set()
        for part in parts:
            named, completed = self.data_of(part)
            users = [other for other in parts if other == part or part in self.uses(other)] if completed else []
            written = set(picked) or {text for user in users for text in self._literals(user)}
            chosen = {file for file, name in completed if name in written}
            if not chosen and any(user.endswith(".md") for user in users):
                chosen = {file for file, _ in completed}
            found |= named | chosen
        for file in [*found]:
            while file in self.data:
                found.add(file)
                base = BASE.search((self.root / file).read_text(encoding="utf-8")) if file.endswith(".yaml") else None
                file = f"{file.rpartition('/')[0]}/{base[1]}.yaml" if base else ""
        return found

    def data_of(self, part: str) -> tuple[set[str], set[tuple[str, str]]]:
        """Data files that a part names, and (file, name to write) of those whose names it completes."""
        literals, own = self._literals(part), part.partition("::")[0].split("/")[:-1]
        patterns = [re.compile(re.escape(text).replace(r"\*", "(.*)")) for text in literals if COMPLETED.fullmatch(text)]
        named, completed = set(), set()
        for file in self.data:
            *folders, name = file.split("/")
            shared = next((i for i, (a, b) in enumerate(zip(folders, own)) if a != b), min(len(folders), len(own)))
            if not set(folders[shared:]) <= literals:
                continue
            if name in literals:
                named.add(file)
            elif folders == own or folders[shared:]:
                completed |= {(file, match[1]) for pattern in patterns if (match := pattern.fullmatch(name))}
        return named, completed

    def _literals(self, part: str) -> frozenset[str]:
        """The texts in a part's code, folder by folder, with ``*`` for what is filled in."""
        if part in self.data:
            return frozenset()
        nodes = self._nodes(part)
        texts = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
        texts |= {"".join(v.value if isinstance(v, ast.Constant) else "*" for v in node.values) for node in nodes if isinstance(node, ast.JoinedStr)}
        split = {piece for text in texts for piece in text.split("/")}
        return frozenset(split | {piece for text in texts if text.startswith(f"{PACKAGE}.") for piece in text.split(".")})

    def _statements(self, part: str) -> list[ast.stmt]:
        file, _, name = part.partition("::")
        if not name:
            return self._tree(file).body
        top = self.top(file)
        return top.executed if name == "import" else top.defined[name]

    def _nodes(self, part: str) -> list[ast.AST]:
        """Every node below the statements of a part."""
        nodes, waiting = [], list(self._statements(part))
        while waiting:
            node = waiting.pop()
            if not _is_text(node):
                nodes.append(node)
                waiting += ast.iter_child_nodes(node)
        return nodes

    def _tree(self, file: str) -> ast.Module:
        """The syntax tree of a module or of a notebook's cells."""
        text = (self.root / file).read_text(encoding="utf-8")
        return ast.parse("\n".join(source for _, source in code_cells(text)) if file.endswith(".md") else text)

    def top(self, file: str) -> Top:
        """What the top level of a module does; ``file`` is relative to the checkout."""
        top = Top([], {}, [])
        for statement in self._tree(file).body:
            if isinstance(statement, (ast.Import, ast.ImportFrom)):
                top.imports.append(statement)
            elif names := _defined(statement):
                for name in names:
                    top.defined.setdefault(name, []).append(statement)
            elif not _is_text(statement):
                top.executed.append(statement)
        return top

    def _file(self, module: str) -> str | None:
        """The file of a module or package, or None where the package has none of this name."""
        base = module.replace(".", "/")
        files = (f"{base}/__init__.py", f"{base}.py") if module.split(".")[0] == PACKAGE else ()
        return next((file for file in files if (self.root / file).is_file()), None)


@cache
def installed_code(by_name: bool = False) -> Code:
    """The code of the checkout that this process runs, read once."""
    return Code(by_name=by_name)


def code_fingerprint(function: Callable) -> str:
    """SHA-256 of the definitions and data files behind a function: its own, and those of the package that they name, without comments and docstrings."""
    code = installed_code(by_name=True)
    return code.digest(code.behind(f"{function.__module__}.{function.__qualname__}"))


def _imports(nodes: Iterable[ast.AST], package: str) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """What the imports among nodes bind, the module and the attribute behind it; relative ones are seen from a package."""
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                bound = alias.name if alias.asname else alias.name.split(".")[0]
                yield alias.asname or bound, bound, ()
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                yield alias.asname or alias.name, module, (alias.name,)


def _chains(nodes: Collection[ast.AST]) -> set[tuple[str, ...]]:
    """Names that are read, with the attributes asked of them: ``a.b.c`` gives ("a", "b", "c")."""
    inner, chains = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}, set()
    for node in nodes:
        attributes, start = [], node
        while isinstance(start, ast.Attribute):
            attributes.append(start.attr)
            start = start.value
        if id(node) not in inner and isinstance(start, ast.Name):
            chains.add((start.id, *reversed(attributes)))
    return chains


def _defined(statement: ast.stmt) -> set[str]:
    """Names that a definition or a plain assignment binds; none for any other statement."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {statement.name}
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target] if isinstance(statement, ast.AnnAssign) else []
    return {node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


def _function_of(command: str, tree: ast.Module) -> str | None:
    """The function that runs a command: ``x = ….add_parser(command)`` and ``x.set_defaults(run=function)``."""
    for statement in tree.body:
        parsers = set()
        for node in ast.walk(statement):
            call = node.value if isinstance(node, ast.Assign) else node
            if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
                continue
            if node is not call and call.func.attr == "add_parser" and getattr(call.args[0], "value", None) == command:
                parsers |= {target.id for target in node.targets}
            if call.func.attr == "set_defaults" and getattr(call.func.value, "id", None) in parsers:
                return next(word.value.id for word in call.keywords if word.arg == "run")
    return None


def _plain_code(node) -> str:
    """A syntax tree as text, without docstrings, places and empty fields, of which newer versions of Python have more."""
    if isinstance(node, list):
        return f"[{','.join(_plain_code(each) for each in node if not _is_text(each))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = [(name, value) for name, value in ast.iter_fields(node) if value is not None and value != [] and name not in ("ctx", "kind")]
    return f"{type(node).__name__}({','.join(f'{name}={_plain_code(value)}' for name, value in fields)})"


def _is_text(node: ast.AST) -> bool:
    """Whether a statement is nothing but a text, as a docstring is."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
