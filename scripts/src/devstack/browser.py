"""A headless Chromium, asked over a pipe in its own protocol (Chrome DevTools): no driver, no port."""

import contextlib
import itertools
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
PATIENCE = 20.0  # seconds for whatever is waited for
LOOKS = 5  # at the same place, 20 ms apart, before the mouse is pressed
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # in containers there is none to be had; it is shown nothing but our own pages
    "--no-first-run",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1400,1100",
    "--remote-debugging-pipe",
)

# It reads its orders from 3 and answers on 4; above both first, lest one pipe's end is where the other goes.
WIRED = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]
os.dup2(ends[0], 3), os.dup2(ends[1], 4)
os.execv(sys.argv[3], sys.argv[3:])
"""

Message = dict[str, Any]


def installed() -> str | None:
    """Where a Chromium is, if there is one."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Tab:
    """One page, all that it said, and all that it asked for."""

    def __init__(self, said: int, heard: int) -> None:
        self._said = said
        self._heard = heard
        self._rest = b""
        self._numbers = itertools.count(1)
        self._session: str | None = None
        self.events: list[Message] = []

    @classmethod
    @contextlib.contextmanager
    def opened(cls, program: str, folder: Path) -> Iterator[Self]:
        """Start the browser with a profile of its own; end it with the block."""
        (their_input, our_output), (our_input, their_output) = os.pipe(), os.pipe()
        fds = (their_input, their_output)
        orders = [sys.executable, "-S", "-c", WIRED, *map(str, fds)]
        command = [*orders, program, *FLAGS, f"--user-data-dir={folder}", "about:blank"]
        with subprocess.Popen(command, pass_fds=fds, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            for end in fds:
                os.close(end)
            try:
                tab = cls(our_output, our_input)
                tab.attach()
                yield tab
            finally:
                process.kill()
                os.close(our_output)
                os.close(our_input)

    def attach(self) -> None:
        """Open an empty page, and hear all of it from now on."""
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **params: Any) -> Message:
        """Give an order; its answer."""
        number = next(self._numbers)
        order: Message = {"id": number, "method": method, "params": params}
        if self._session:
            order["sessionId"] = self._session
        os.write(self._said, json.dumps(order).encode() + b"\0")
        while (message := self._read()).get("id") != number:
            self.events.append(message)
        if "error" in message:
            raise AssertionError(f"{method}: {message['error']}")
        return dict(message["result"])

    def _read(self) -> Message:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._heard], [], [], PATIENCE)
            more = os.read(self._heard, 1 << 20) if ready else b""
            if not more:
                raise AssertionError("the browser says nothing any more")
            self._rest += more
        whole, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(whole))

    def wait(self, fits: Callable[[Message], bool]) -> Message:
        """The first event, past or to come, that fits."""
        deadline = time.monotonic() + PATIENCE
        for message in self.events:
            if fits(message):
                return message
        while time.monotonic() < deadline:
            self.events.append(self._read())
            if fits(self.events[-1]):
                return self.events[-1]
        raise AssertionError("it did not happen")

    def go(self, url: str) -> None:
        """Open an address."""
        self.send("Page.navigate", url=url)

    def evaluate(self, script: str) -> Any:
        """What the page's JavaScript says; a promise is waited for."""
        answer = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise AssertionError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def until(self, script: str) -> Any:
        """Wait in the page until the expression is true; its value."""
        return self.evaluate(f"""new Promise((done, failed) => {{
            const end = Date.now() + {PATIENCE * 1000};
            const look = () => {{
                const value = ({script});
                value ? done(value) : Date.now() > end ? failed({json.dumps(script)}) : setTimeout(look, 20);
            }};
            look();
        }})""")

    def click_until(self, element: str, shown: str) -> None:
        """Press it until what it opens is there: a busy page may not yet listen when it can be pressed already."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            self.click(element)
            look = f"new Promise(done => setTimeout(() => done(Boolean({shown})), 500))"
            if any(self.evaluate(look) for _ in range(6)):
                return
        raise AssertionError(f"pressing opens nothing: {element}")

    def click(self, element: str) -> None:
        """Press the mouse in the middle of what the expression names, once it is there and at rest."""
        x, y = self.until(f"""(() => {{
            const found = {element};
            if (!found) return false;
            found.scrollIntoView({{block: "center", behavior: "instant"}});
            const {{left, top, width, height}} = found.getBoundingClientRect();
            const point = [left + width / 2, top + height / 2];
            const rested = window.rest?.place === String(point) ? window.rest.looks + 1 : 0;
            window.rest = {{place: String(point), looks: rested}};
            return rested > {LOOKS} && width && found.contains(document.elementFromPoint(...point)) && point;
        }})()""")
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
