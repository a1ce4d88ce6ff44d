"""`./scripts/check`: everything that can be judged without a running service. Each step is one line."""

import argparse
import os
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from devstack.check import addresses, clients, containers, contracts, docs, locks, sources, surface, tools

ROOT = Path(__file__).resolve().parents[4]

Step = Callable[[Path], list[str]]

# The slow ones first, so that the others run beside them.
STEPS: dict[str, Step] = {
    "types": tools.types,
    "clients": clients.typed,
    "imports": tools.imports,
    "lint": tools.lint,
    "format": tools.formatting,
    "limits": sources.limits,
    "signing": sources.signing,
    "environ": sources.environ,
    "locks": locks.stale,
    "links": docs.links,
    "commands": docs.commands,
    "routes": surface.routes,
    "settings": surface.settings,
    "addresses": addresses.foreign,
    "containers": containers.containers,
    "contracts": contracts.unbroken,
}

# What can be written anew instead of complained about.
FIXES: dict[str, Callable[[Path], None]] = {"settings": surface.write_settings}


def main(argv: list[str]) -> int:
    """Run the named steps, or all: 0 if none found anything, 1 if one did."""
    parser = argparse.ArgumentParser("./scripts/check", description="Check the tree without running a service.")
    parser.add_argument("step", nargs="*", help=f"only these: {', '.join(STEPS)}")
    parser.add_argument("--fix", action="store_true", help=f"write what can be written: {', '.join(FIXES)}")
    options = parser.parse_intermixed_args(argv)
    names = options.step or list(STEPS)
    if unknown := [name for name in names if name not in STEPS]:
        parser.error(f"no step is called {unknown[0]}; there are {', '.join(STEPS)}")
    for name in FIXES.keys() & set(names) if options.fix else ():
        FIXES[name](ROOT)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        running = {name: pool.submit(timed, STEPS[name]) for name in names}
        failed = [name for name in names if not report(name, running[name])]
    print(f"\n{len(names) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


def timed(step: Step) -> tuple[list[str], float]:
    """A step's findings and its seconds; a step that breaks is a finding, so that the others still report."""
    start = time.perf_counter()
    try:
        findings = step(ROOT)
    except Exception as error:  # noqa: BLE001  # half-written code under check may raise anything
        findings = [f"could not be checked: {type(error).__name__}: {error}"]
    return findings, time.perf_counter() - start


def report(name: str, running: Future[tuple[list[str], float]]) -> bool:
    """Print a step's line, and its findings if it has some."""
    findings, seconds = running.result()
    print(f"{'FAILED' if findings else 'ok':<6}  {name:<10} {seconds:5.1f} s", flush=True)
    for finding in findings:
        print(f"        {finding}", flush=True)
    return not findings
