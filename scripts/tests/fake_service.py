"""Stands in for a service in tests of the stack: `migrate`, `serve` with workers, and what it was told."""

import http.server
import json
import os
import signal
import socketserver
import subprocess
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    """Alive, ready, and open about its environment."""

    def do_GET(self) -> None:
        """Answer health and /environment."""
        body = json.dumps(dict(os.environ)).encode() if self.path == "/environment" else b"{}"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main(argv: list[str]) -> int:
    """Fail where FAKE_FAILURE says so, serve otherwise."""
    if argv[0] in os.environ.get("FAKE_FAILURE", "").split(","):
        print(f"fake failure of {argv[0]}")
        return 3
    if argv[0] == "serve":
        workers = int(argv[argv.index("--workers") + 1])
        children = [
            subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) for _ in range(workers - 1)
        ]
        signal.signal(signal.SIGTERM, lambda *_: stop(children))
        serve(int(argv[argv.index("--port") + 1]))
    return 0


def stop(children: list["subprocess.Popen[bytes]"]) -> None:
    """End as uvicorn does: the workers first; asked again meanwhile, it goes on with that."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for child in children:
        child.terminate()
        child.wait()
    sys.exit(0)


def serve(port: int) -> None:
    """Answer until told to stop."""
    socketserver.TCPServer.allow_reuse_address = True
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        server.serve_forever()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
