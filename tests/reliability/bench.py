"""What parts work with: the programs, a folder to work in, and how much to do."""
import pathlib
import shutil

import scenarios


class Bench:
    def __init__(self, programs, source, quick, work, tools=None):
        self.programs = pathlib.Path(programs).resolve()
        self.source = pathlib.Path(source).resolve()
        # Makers of pictures and event files, built with the tests.
        self.tools = tools or self.programs.parent / "tests/experiments"
        self.quick = quick
        self.work = pathlib.Path(work)
        self._start = None
        self.commands = []  # names of the scenarios of io-calls; none: all

    @property
    def start(self):
        """Folder of runs and pictures that scenarios start from; made once, not to be written to."""
        if self._start is None:
            self._start = scenarios.make_start(self.programs, self.tools, self.work)
        return self._start

    def few(self, quick, whole):
        return quick if self.quick else whole

    def folder(self, name):
        """An empty folder of this name; one that was there is removed."""
        made = self.work / name
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(parents=True)
        return made

    def with_stand_in(self, program, body):
        """A bench whose `program` is a bash script, to plant a fault: `body` sees the real one as $real.
        The other programs are the real ones."""
        folder = self.work / f"stand_in_{len(list(self.work.glob('stand_in_*')))}"
        (folder / "bin").mkdir(parents=True)
        for real in self.programs.glob("pal-*"):
            if real.name != program:
                (folder / "bin" / real.name).symlink_to(real)
        script = folder / "bin" / program
        script.write_text(f"#!/usr/bin/env bash\nreal={self.programs / program}\n{body}\n")
        script.chmod(0o755)
        other = Bench(folder / "bin", self.source, True, self.work, self.tools)
        other.programs = folder / "bin"
        other._start = self.start
        return other
