"""What no tool of the field looks at: the sizes of things, who signs tokens, who reads the environment."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

from devstack.check.tree import product_sources, python_files

MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 50
SIGNERS = ("user_svc/sessions/tokens.py", "common/testing.py")
ENVIRONMENT_READERS = ("common/settings.py",)

Rule = Callable[[str], Iterator[tuple[int, str]]]


def limits(root: Path) -> list[str]:
    """The house's sizes, and a docstring for every module."""
    return scan(root, python_files(root), beyond_limits)


def signing(root: Path) -> list[str]:
    """Tokens are signed in one place, and in the tests' own mint."""
    return scan(root, all_but(SIGNERS, product_sources(root)), signing_calls)


def environ(root: Path) -> list[str]:
    """The environment is read in one place."""
    return scan(root, all_but(ENVIRONMENT_READERS, product_sources(root)), environment_reads)


def scan(root: Path, paths: list[Path], rule: Rule) -> list[str]:
    """Apply a rule to each file's text."""
    return [
        f"{path.relative_to(root)}:{line} {message}"
        for path in paths
        for line, message in rule(path.read_text(encoding="utf-8"))
    ]


def all_but(exempt: tuple[str, ...], paths: list[Path]) -> list[Path]:
    """The files to which a rule applies."""
    return [path for path in paths if not path.as_posix().endswith(exempt)]


def beyond_limits(source: str) -> Iterator[tuple[int, str]]:
    """A file or function that is too long to be read at once, a module that does not say what lives in it."""
    module = ast.parse(source)
    length = len(source.splitlines())
    if length > MAX_FILE_LINES:
        yield 1, f"has {length} lines; past {MAX_FILE_LINES} a module becomes a folder"
    if not ast.get_docstring(module):
        yield 1, "has no docstring that says what lives here"
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MAX_FUNCTION_LINES:
                yield node.lineno, f"{node.name} has {length} lines; {MAX_FUNCTION_LINES} is the limit"


def signing_calls(source: str) -> Iterator[tuple[int, str]]:
    """Each mention of `jwt.encode`, by whatever name it was imported."""
    for line, name in names_from(source, "jwt"):
        if name == "encode":
            yield line, f"signs a token (jwt.encode): only {' and '.join(SIGNERS)} may"


def environment_reads(source: str) -> Iterator[tuple[int, str]]:
    """Each mention of the environment through `os`, by whatever name it was imported."""
    for line, name in names_from(source, "os"):
        if name in {"environ", "environb", "getenv", "getenvb", "putenv"}:
            yield line, f"reads the environment (os.{name}): only {' and '.join(ENVIRONMENT_READERS)} may"


def names_from(source: str, module: str) -> Iterator[tuple[int, str]]:
    """Where a module's names are used or imported: `m.NAME`, `x.NAME` (imported as x), `from m import NAME`."""
    nodes = list(ast.walk(ast.parse(source)))
    imported = [alias for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    bound = {alias.asname or alias.name for alias in imported if alias.name == module}
    for node in nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in bound:
            yield node.lineno, node.attr
        elif isinstance(node, ast.ImportFrom) and node.module == module:
            yield from ((node.lineno, alias.name) for alias in node.names)
