"""`python -m devstack VERB ...`: imports the verb's module, and no other."""

import importlib
import sys

from devstack.processes import StackError

VERBS = ("up", "stack", "seed", "bench", "check", "drill", "secrets", "images", "contracts", "sbom")


def main(argv: list[str]) -> int:
    """Run the verb; whatever it raises for a person is one line on stderr."""
    if not argv or argv[0] not in VERBS:
        print(f"usage: python -m devstack {{{','.join(VERBS)}}} ...", file=sys.stderr)
        return 2
    try:
        code: int = importlib.import_module(f"devstack.{argv[0]}").main(argv[1:])
    except StackError as error:
        print(f"{argv[0]}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
