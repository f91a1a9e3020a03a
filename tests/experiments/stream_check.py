#!/usr/bin/env python3
"""Asks pal-classify through a pipe, line by line, as other languages do.

Usage: stream_check.py PAL_CLASSIFY SOURCE_FOLDER, in a folder with a model `run`, the file `names` of
pictures and `by_name.jsonl`, what is answered for these as arguments with -b 1. A check that fails
ends it with a traceback; a part that cannot run here prints a line "WHAT: SKIPPED (why)".
"""
import base64
import concurrent.futures
import importlib.util
import json
import os
import pathlib
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

program, source = sys.argv[1], pathlib.Path(sys.argv[2])
names = pathlib.Path("names").read_text().splitlines()
by_name = [json.loads(line) for line in pathlib.Path("by_name.jsonl").read_text().splitlines()]
assert [answer["file"] for answer in by_name] == names
PATIENCE = 60  # seconds; machines may be busy


class Stream:
    """A pal-classify whose answers are read beside."""

    def __init__(self, *options):
        self.process = subprocess.Popen([program, "run", "-", "--json", "-q", *options], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.answers = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.answers.put(json.loads(line))

    def send(self, *lines):
        """Lines are bytes, names, or requests as dictionaries."""
        for line in lines:
            if isinstance(line, dict):
                line = json.dumps(line)
            self.process.stdin.write((line if isinstance(line, bytes) else line.encode()) + b"\n")
        self.process.stdin.flush()

    def answer(self):
        return self.answers.get(timeout=PATIENCE)

    def ask(self, line):
        self.send(line)
        return self.answer()

    def end(self, code):
        self.process.stdin.close()
        assert self.process.wait(PATIENCE) == code, (self.process.returncode, self.process.stderr.read())
        said = self.process.stderr.read().decode()
        assert self.answers.empty(), self.answers.get()
        return said


def whole(line):
    return pathlib.Path(line).read_bytes()


def image(name, **more):
    return {"image": base64.b64encode(whole(name)).decode(), **more}


def same(answer, wanted, **differing):
    assert answer == {**wanted, **differing}, (answer, wanted)


def one_at_a_time():
    """A line alone is answered while the pipe stays open, in each way of asking."""
    stream = Stream("-b", "1")
    same(stream.ask(names[0]), by_name[0])
    same(stream.ask(names[1] + "\r"), by_name[1])
    same(stream.ask({"file": names[2]}), by_name[2])
    same(stream.ask({"id": 7, "file": names[3]}), {"id": 7, **by_name[3]})
    same(stream.ask(image(names[4], id="a \"b\" \u00e9")), {"id": "a \"b\" \u00e9", **by_name[4]}, file=None)
    same(stream.ask(image(names[5])), by_name[5], file=None)
    assert list(stream.ask({"id": -1, "file": names[0]}))[:2] == ["id", "file"]
    stream.end(0)


def automatic_batches():
    """More lines at once are answered in order; what is waited for never waits for others."""
    stream = Stream()
    stream.send(*names[:100])
    for wanted in by_name[:100]:
        answer = stream.answer()
        # Rounding may depend on the batch.
        near = abs(answer["bits_per_dim"] - wanted["bits_per_dim"]) < 1e-4
        assert answer["file"] == wanted["file"] and near, (answer, wanted)
    begun = time.monotonic()
    stream.ask(names[0])
    assert time.monotonic() - begun < PATIENCE / 2
    stream.end(0)


def thousand_lines():
    """As many answers as for files as arguments, the same bytes."""
    stream = Stream("-b", "1")
    lines = (names * (1000 // len(names) + 1))[:1000]
    wanted = (by_name * (1000 // len(names) + 1))[:1000]
    threading.Thread(target=stream.send, args=lines).start()
    for each in wanted:
        same(stream.answer(), each)
    stream.end(0)


def errors_in_between():
    """Each bad line has its answer, and the next good one as well."""
    deep = b'{"file":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    bad = [
        (b"", "an empty name"),
        (b"nowhere.png", "no such file"),
        (b"a" * 1_000_000, "a name of 1000000 bytes, expected at most 4096"),
        (b'{"file":"' + b"a" * 5000 + b'"}', "a name of 5000 bytes"),
        (b"a\0b", "a zero byte in a name"),
        (b'{"file":"a\\u0000b"}', "a zero byte in a name"),
        (b"\xff\xfe", "no such file"),
        (b"{", "no JSON object"),
        (b'{"file":"a"} {}', "no JSON object"),
        (b'{"file":"\xff"}', "no JSON object"),
        (deep, "no JSON object"),
        (b'{"image":"' + b"A" * 1_000_000 + b'"}', "neither PNG nor JPEG"),
        ({}, "either file or image"),
        ({"file": names[0], "image": "AAAA"}, "either file or image"),
        ({"files": names[0]}, 'key "files"'),
        ({"file": 3}, "file: expected a text"),
        ({"image": [1]}, "image: expected a text"),
        ({"image": ""}, "no bytes"),
        ({"image": "AAA"}, "not base64"),
        ({"image": "AA\nA"}, "not base64"),
        ({"image": "AA=A"}, "not base64"),
        ({"image": "AB=="}, "not base64"),
        ({"image": base64.b64encode(whole(names[0])[:300]).decode()}, "image:"),
        ({"id": 1.5, "file": names[0]}, "id: expected a whole number"),
        ({"id": "x" * 257, "file": names[0]}, "id: expected a whole number"),
        ({"id": None, "file": names[0]}, "id: expected a whole number"),
    ]
    stream = Stream("-b", "1")
    for line, text in bad:
        answer = stream.ask(line)
        assert text in answer["error"] and "top" not in answer and "file" in answer, (line[:80], answer)
        assert len(answer["error"]) < 5000
        same(stream.ask(names[0]), by_name[0])
    assert stream.ask({"id": 5, "files": "x"})["id"] == 5
    said = stream.end(3)
    assert f"{len(bad) + 1} pictures could not be read" in said, said


def too_long_a_line():
    """A line of more than 64 MiB is refused before its end has come, and skipped."""
    stream = Stream("-b", "1")
    stream.process.stdin.write(b'{"image":"' + b"A" * (65 << 20))
    stream.process.stdin.flush()
    assert "a line of more than 67108864 bytes" in stream.answer()["error"]
    stream.send(b'"}')
    same(stream.ask(names[0]), by_name[0])
    stream.end(3)


def last_line_without_end():
    stream = Stream("-b", "1")
    stream.process.stdin.write(names[0].encode())
    stream.process.stdin.close()
    same(stream.answer(), by_name[0])
    assert stream.process.wait(PATIENCE) == 0


def signals():
    """SIGTERM ends it between answers, whether it waits for a line or has many."""
    stream = Stream("-b", "1")
    stream.ask(names[0])
    stream.process.send_signal(signal.SIGTERM)
    assert stream.process.wait(PATIENCE) == 143
    stream = Stream("-b", "1")
    threading.Thread(target=lambda: send_quietly(stream, names * 200), daemon=True).start()
    stream.answer()
    stream.process.send_signal(signal.SIGINT)
    assert stream.process.wait(PATIENCE) == 130  # and each line that came was whole JSON


def send_quietly(stream, lines):
    try:
        stream.send(*lines)
    except BrokenPipeError:
        pass


def documented_examples():
    """The examples of the README, in Python and, where it is, in node."""
    text = (source / "experiments/README.md").read_text()
    section = text[text.index("### From other languages"):]
    for language, interpreter, suffix in (("python", sys.executable, "py"), ("javascript", shutil.which("node"), "mjs")):
        code = re.search(f"```{language}\n(.*?)```", section, re.DOTALL).group(1)
        if interpreter is None:
            print(f"the example in {language}: SKIPPED (no node)")
            continue
        file = pathlib.Path(f"example.{suffix}")
        file.write_text(code)
        folder = str(pathlib.Path(program).parent)
        outcome = subprocess.run([interpreter, str(file), names[0], names[1]], capture_output=True, text=True,
                                 timeout=PATIENCE, env={"PATH": f"{folder}:/usr/bin:/bin"})
        wanted = [f"{name}: {answer['top'][0]['class']}" for name, answer in zip(names, by_name[:2])]
        got = outcome.stdout.splitlines()
        assert [line.rsplit(" ", 1)[0] for line in got] == wanted, (language, outcome)


def http_front():
    """The front of the README, where its server is."""
    if not importlib.util.find_spec("waitress"):
        print("the front over HTTP: SKIPPED (no waitress)")
        return
    text = (source / "experiments/README.md").read_text()
    code = re.search("```python\n(.*?)```", text[text.index("### Over HTTP"):], re.DOTALL).group(1)
    pathlib.Path("served").write_text(code)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = str(pathlib.Path(program).parent)
    server = subprocess.Popen([sys.executable, "served", "run", str(port)],
                              env={**os.environ, "PATH": f"{folder}:/usr/bin:/bin"})

    def post(body):
        request = urllib.request.Request(f"http://127.0.0.1:{port}", data=body)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    try:
        for _ in range(PATIENCE * 5):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.2)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for wanted, (status, answer) in zip(by_name, pool.map(post, map(whole, names[:40]))):
                assert status == 200 and answer["top"][0]["class"] == wanted["top"][0]["class"], (answer, wanted)
        assert post(b"no picture")[0] == 422
        assert post(None)[0] == 405
    finally:
        server.terminate()
        server.wait(PATIENCE)


for check in (one_at_a_time, automatic_batches, thousand_lines, errors_in_between, too_long_a_line,
              last_line_without_end, signals, documented_examples, http_front):
    check()
    print(f"{check.__name__}: ok", flush=True)
