#!/usr/bin/env python3
"""Prints how long `import palindrome` takes, the median of ten fresh interpreters, and of that numpy's
part; seconds."""

import statistics
import subprocess
import sys


def seconds(module):
    code = f"import time; begin = time.perf_counter(); import {module}; print(time.perf_counter() - begin)"
    command = [sys.executable, "-c", code]
    times = [float(subprocess.check_output(command)) for _ in range(11)]
    return statistics.median(times[1:])  # the first one reads the disk


print(f"import palindrome {seconds('palindrome'):.3f} s, import numpy {seconds('numpy'):.3f} s")
