"""W&B out of reach, slow, out of quota or gone on the way: the run ends as without it, its numbers can be sent later.

The servers are real and on this machine. What they cost in speed is measured: results/bench/tracking.md.
"""

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
import wandb

from ablations.config import TrackingConfig
from ablations.track import wandb_run
from ablations.track.start import open_tracker
from ablations.track.tracker import FILE
from tests.ablations.cells import do, timeless, weights
from tests.ablations.conftest import cache  # noqa: F401
from tests.ablations.make import make_record
from tests.ablations.track.conftest import no_account  # noqa: F401
from tests.ablations.track.offline import in_wandb

reach = pytest.mark.fault("W&B unreachable, silent or refusing")
middle = pytest.mark.fault("W&B gone in the middle of a run")
QUOTA = (402, b"<html><body><h1>Payment required</h1></body></html>")
ERRORS = (402, 429, 500, 403, 401)  # out of quota, too many requests, broken, forbidden, a key nobody knows


class Answering(BaseHTTPRequestHandler):
    """As much of W&B as a run needs, until the server is told to answer everything with an error."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:  # noqa: N802
        asked = self.rfile.read(int(self.headers["Content-Length"]))
        status, answer = self.server.error or (200, self.right(asked))
        self.send_response(status)
        self.send_header("Content-Type", "text/html" if self.server.error else "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        if "file_stream" in self.path:
            self.server.taken.set()

    do_GET = do_PUT = do_POST  # noqa: N815

    def right(self, asked: bytes) -> bytes:
        if b"RunResumeStatus" in asked:
            return b'{"data": {"model": {"bucket": null}}}'
        if b"UpsertBucket" in asked:
            project = {"id": "p", "name": "p", "entity": {"id": "e", "name": "e"}}
            bucket = {"id": "r", "name": "r", "displayName": "r", "historyLineCount": 0, "project": project}
            return json.dumps({"data": {"upsertBucket": {"bucket": bucket, "inserted": True}}}).encode()
        if b"CreateRunFiles" in asked:
            return b'{"data": {"createRunFiles": {"runID": "r", "uploadHeaders": [], "files": []}}}'
        return b"{}"

    def log_message(self, *_) -> None:
        pass


@contextmanager
def server(error: tuple[int, bytes] | None = None) -> Iterator[ThreadingHTTPServer]:
    """On this machine, at the address that W&B is told to be at; `taken` is set when it has had lines of a run."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as found:
        found.error, found.taken = error, threading.Event()
        threading.Thread(target=found.serve_forever, daemon=True).start()
        os.environ["WANDB_BASE_URL"] = f"http://127.0.0.1:{found.server_port}"
        yield found
        found.shutdown()


@contextmanager
def silence() -> Iterator[None]:
    """A server that takes every connection and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as taking:  # the system accepts for it
        os.environ["WANDB_BASE_URL"] = f"http://127.0.0.1:{taking.getsockname()[1]}"
        yield


@contextmanager
def nobody() -> Iterator[None]:
    os.environ["WANDB_BASE_URL"] = "http://127.0.0.1:9"
    yield


@pytest.fixture(autouse=True)
def impatient(monkeypatch, no_account):  # noqa: F811
    monkeypatch.setattr(wandb_run, "TIMEOUT", 1.0)
    monkeypatch.setattr(wandb_run, "FINISH", 1)
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, cache):  # noqa: F811
    """The record of the same run without W&B, and its weights."""
    results = tmp_path_factory.mktemp("without")
    return do(cache, results, "trainer.log_every=1"), weights(results)


def told(capfd) -> list[str]:
    """What stood on stderr about W&B."""
    said = capfd.readouterr().err
    assert "Traceback" not in said
    return [line for line in said.splitlines() if line.startswith("warning") or "wandb" in line.lower()]


def as_without(capfd, cache, results: Path, undisturbed) -> None:  # noqa: F811
    """Runs with W&B, and holds all that comes of it against the run without."""
    record = do(cache, results, "trainer.log_every=1", "tracking.name=wandb")
    wandb.teardown()
    expected, learnt = undisturbed
    assert record["status"] == expected["status"] and record["scores"] == expected["scores"]
    assert timeless(record["curve"]) == timeless(expected["curve"])
    assert all(torch.equal(tensor, learnt[name]) for name, tensor in weights(results).items())
    (warning,) = told(capfd)
    assert warning.startswith("warning: W&B cannot be reached (")
    folder = results / "work" / record["signature"]
    lines = [json.loads(line) for line in (folder / FILE).read_text().splitlines()]
    assert len(lines) >= 3
    held_by_wandb(folder, lines)


def held_by_wandb(folder: Path, lines: list[dict], kind: str = "offline-run") -> None:
    """`wandb sync` sends what lies in such a folder."""
    mirrored = [row for row in in_wandb(folder, kind).history if "loss" in row]
    assert [{name: row[name] for name in line} for row, line in zip(mirrored, lines, strict=True)] == lines


@reach
@pytest.mark.parametrize("where", [nobody, silence], ids=["refused", "silent"])
def test_without_an_answer_a_run_ends_as_without_wandb(where, trials, capfd, cache, tmp_path, undisturbed):  # noqa: F811
    for number in trials(full=5, quick=1):
        with where():
            as_without(capfd, cache, tmp_path / str(number), undisturbed)


@reach
def test_with_errors_for_answers_a_run_ends_as_without_wandb(trials, capfd, cache, tmp_path, undisturbed):  # noqa: F811
    for number in trials(full=3 * len(ERRORS), quick=1):
        with server((ERRORS[number % len(ERRORS)], QUOTA[1])):
            as_without(capfd, cache, tmp_path / str(number), undisturbed)


def goes_away(found: ThreadingHTTPServer) -> None:
    found.socket.close()


def has_no_quota_left(found: ThreadingHTTPServer) -> None:
    found.error = QUOTA


def is_killed(found: ThreadingHTTPServer) -> None:
    """W&B's own process on this machine, which sends for us."""
    for process in subprocess.run(["pgrep", "-P", str(os.getpid()), "wandb-core"], capture_output=True).stdout.split():
        os.kill(int(process), signal.SIGKILL)


@middle
@pytest.mark.parametrize("what", [goes_away, has_no_quota_left, is_killed], ids=lambda what: what.__name__)
def test_what_happens_in_the_middle_costs_no_line(what, trials, capfd, tmp_path):
    """Lines from before are with the server, or in the file that `wandb sync` sends; in ours are all.

    W&B's process is killed once: it is not sure to start again for the same process of ours.
    """
    for number in trials(full=1 if what is is_killed else 5, quick=1):
        folder = tmp_path / str(number)
        with server() as found:
            with open_tracker(TrackingConfig(name="wandb"), make_record(), folder, 0) as tracked:
                tracked.log(1, {"loss": 1.0})
                tracked._mirror._starting.result()
                tracked.log(2, {"loss": 2.0})
                assert found.taken.wait(300), "W&B was reached"
                what(found)
                for step in range(3, 30):
                    tracked.log(step, {"loss": float(step)})
                    time.sleep(0.01)
            wandb.teardown()
        lines = [json.loads(line) for line in (folder / FILE).read_text().splitlines()]
        assert [line["step"] for line in lines] == list(range(1, 30))
        if what is is_killed:
            (warning,) = told(capfd)
            assert warning.startswith("warning: W&B failed (") and FILE in warning
        else:
            assert told(capfd) == []
            held_by_wandb(folder, lines, "run")
