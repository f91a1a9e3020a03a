"""One program, what it is asked to do, and what it says and makes when nothing is in its way."""
import pathlib
import re
import shutil
import tempfile

import scenarios
import trial

# What a process leaves for itself, and files of a run that tell its history.
OWN = re.compile(r"\.tmp-pal|(^|/)(\.lock|log\.txt|run\.json|summary\.json)$")


def files(folder):
    """Bytes by file name; of a link, where it points to."""
    found = {}
    for path in sorted(pathlib.Path(folder).rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = b"-> " + bytes(path.readlink())
        elif path.is_file() and not OWN.search(name):
            found[name] = path.read_bytes()
    return found


class Asked:
    def __init__(self, bench, name, arguments, folder=None):
        self.name, self.start = name, bench.start
        self.arguments = arguments[1:]
        self.inspect = bench.programs / "pal-inspect"
        self.command = [bench.programs / arguments[0], *self.arguments]
        self.folder = folder or bench.work / "asked"
        with tempfile.TemporaryFile() as out:
            first = self.whole_run(out)
            self.says = out.tell() > 0
        second = self.whole_run(out=None)
        # Files that hold times are not the same twice; what is made of them is not looked at.
        self.after = {name: content for name, content in second.items() if first.get(name) == content}
        self.biggest = max((len(content) for name, content in second.items()
                            if content != self.before.get(name)), default=0)

    def whole_run(self, out):
        self.fresh()
        outcome = self.run(**({"out": out} if out else {}))
        if outcome.code != 0:
            raise RuntimeError(f"{self.name}: {trial.last_line(outcome.err)}")
        return files(self.folder)

    def fresh(self):
        """A folder with what the arguments name."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        for top in {argument.split("/")[0] for argument in self.arguments}:
            if (self.start / top).is_dir():
                shutil.copytree(self.start / top, self.folder / top, symlinks=True)
        self.before = files(self.folder)

    def run(self, **more):
        return trial.run(self.command, self.folder, **more)

    def judge_files(self, row, what):
        """After a failure: each file is the old one or the new one, and none is gone."""
        there = files(self.folder)
        for name in self.before.keys() & self.after.keys() - there.keys():
            row.note("lost", f"{what}: {name} is gone")
        for name in self.after.keys() & there.keys():
            if there[name] in (self.before.get(name), self.after[name]):
                continue
            # Written more than once, such as the best checkpoint so far.
            if not name.endswith(".safetensors") or trial.run([self.inspect, name], self.folder).code != 0:
                row.note("lost", f"{what}: {name} is neither the old one nor the new one")

    def judge_again(self, row, what):
        """The same command with nothing in its way does what it would have done."""
        outcome = self.run()
        if outcome.code != 0:
            row.note("lost", f"{what}, then again: exit code {outcome.code}: {trial.last_line(outcome.err)}")
            return
        there = files(self.folder)
        for name, content in self.after.items():
            if there.get(name) != content:
                row.note("lost", f"{what}, then again: {name} is not what it would have been")
                break
        if left := trial.leftovers(self.folder):
            row.note("wrong", f"{what}, then again: {left[0]} is left")


def writers(bench, names=None, folder=None):
    """Every program that writes files, or those of these names."""
    return [Asked(bench, one.name, one.arguments, folder) for one in scenarios.all_scenarios()
            if names is None or one.name in names]
