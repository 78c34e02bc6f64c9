"""A real, small process for the supervisor to keep.

It serves its pages and announces its port, as process/health.py does. Usage: small_child.py NAME MODE, with
SEARCHLOOP_DATA_DIR. Modes: plain; misused (exit 2); crashing (exit 70 at once); talking (many lines, then
exit 70); stubborn (ignores SIGTERM); parent (starts a process of its own). It appends a line to events.txt
when it starts and when it is stopped in order.
"""

import json
import os
import signal
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

name, mode = sys.argv[1:]
folder = Path(os.environ["SEARCHLOOP_DATA_DIR"])


def note(what: str) -> None:
    with (folder / "events.txt").open("a") as file:
        file.write(f"{what} {name} {os.getpid()}\n")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path in {"/readyz", "/healthz"} else 404)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps({"process": name, "address": "http://127.0.0.1:8077"}).encode())

    def log_message(self, *_: object) -> None:
        pass


def on_term(*_: object) -> None:
    if mode != "stubborn":
        note("stopped")
        os._exit(0)


note("started")
threads, kafka = os.environ["OMP_NUM_THREADS"], os.environ.get("SEARCHLOOP_KAFKA")
say(f"{name} says hello, nice {os.nice(0)}, threads {threads}, kafka {kafka}")
if mode == "misused":
    say("no such setting")
    sys.exit(2)
if mode == "talking":
    for number in range(10_000):
        say(f"{number}")
    sys.exit(70)
if mode == "crashing":
    sys.exit(70)
if mode == "parent":
    grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (folder / "grandchild.txt").write_text(str(grandchild.pid))
signal.signal(signal.SIGTERM, on_term)
server = HTTPServer(("127.0.0.1", 0), Page)
run = folder / "run"
run.mkdir(exist_ok=True)
(run / f"{name}.json").write_text(json.dumps({"process": name, "port": server.server_port}))
server.serve_forever()
