"""A model among threads, signals and processes."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import palindrome
from conftest import FASHION


def test_threads_get_what_one_gets(model, levels):
    with palindrome.load(FASHION, threads=1) as other:
        wanted = {id(each): (each.scores(levels), each.encode(levels)) for each in (model, other)}
        failures = []

        def work(each):
            for _ in range(10):
                scores, z = wanted[id(each)]
                if (each.scores(levels) != scores).any() or (each.encode(levels) != z).any():
                    failures.append(each)

        threads = [threading.Thread(target=work, args=(each,)) for each in (model, other) * 2]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures


def test_others_run_during_a_call(model, levels):
    many = np.concatenate([levels] * 50)
    ticks = []
    done = threading.Event()

    def tick():
        while not done.is_set():
            ticks.append(time.monotonic())
            time.sleep(0.001)

    ticker = threading.Thread(target=tick)
    ticker.start()
    begin = time.monotonic()
    model.scores(many)
    end = time.monotonic()
    done.set()
    ticker.join()
    assert sum(begin < t < end for t in ticks) >= 3


def test_closing_waits_for_calls(levels):
    model = palindrome.load(FASHION)
    many = np.concatenate([levels] * 20)
    results = []

    def work():
        try:
            while True:
                results.append(model.scores(many).shape)
        except palindrome.UsageError as error:
            results.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    while not results:
        time.sleep(0.01)
    model.close()
    thread.join(60)
    assert results[-1] == "model: it is closed"


def run(code, timeout=120):
    environment = dict(os.environ, FASHION=str(FASHION))
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=timeout,
                          env=environment)


def test_ctrl_c_ends_a_long_call():
    code = """
import os, signal, threading, time
import numpy as np, palindrome
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
model = palindrome.load(os.environ["FASHION"], threads=1)
images = np.zeros((100000, 28, 28, 1), np.uint8)
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
begin = time.monotonic()
try:
    model.scores(images)
except KeyboardInterrupt:
    print("interrupted", model.scores(images[:2]).shape)
"""
    done = run(code)
    assert done.stdout == "interrupted (2, 10)\n", done.stderr


def test_forked_processes():
    code = """
import os, sys
import numpy as np, palindrome
model = palindrome.load(os.environ["FASHION"], threads=2)
images = np.zeros((300, 28, 28, 1), np.uint8)
wanted = model.scores(images)
child = os.fork()
if child == 0:
    try:
        model.scores(images)
        os._exit(1)
    except palindrome.UsageError as error:
        if "forked off" not in str(error):
            os._exit(2)
    own = palindrome.load(os.environ["FASHION"], threads=2)
    same = np.array_equal(own.scores(images), wanted)
    os._exit(0 if same and own.threads == 1 else 3)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), np.array_equal(model.scores(images), wanted))
"""
    done = run(code)
    assert done.stdout == "0 True\n", done.stderr


def test_a_torn_down_interpreter():
    """A model that is still open, and threads in calls, when Python ends."""
    code = """
import os, threading
import numpy as np, palindrome
model = palindrome.load(os.environ["FASHION"], threads=1)
images = np.zeros((2000, 28, 28, 1), np.uint8)
for _ in range(3):
    threading.Thread(target=model.scores, args=(images,), daemon=True).start()
print("end")
"""
    done = run(code)
    assert (done.returncode, done.stdout) == (0, "end\n"), done.stderr


def test_it_does_not_import_torch():
    code = "import sys, palindrome; print('torch' in sys.modules)"
    assert run(code).stdout == "False\n"


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="Linux")
def test_threads_are_of_the_model(levels):
    with palindrome.load(FASHION, threads=1) as one, palindrome.load(FASHION, threads=2) as two:
        assert (one.threads, two.threads) == (1, 2)
        np.testing.assert_array_equal(one.scores(levels), two.scores(levels))
