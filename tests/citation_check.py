#!/usr/bin/env python3
"""Reads the sources, scripts and documents of the tree and fails on mentions of files and of
numbered sections that do not exist.

Usage: citation_check.py SOURCE_FOLDER

A path (FOLDER/FILE.h) must lead to a file, from the root or from the folder of the file that
names it, if it is ours: if it begins with one of our folders, ends in the name of one of our files,
or is a document (.md). Other paths belong to libraries, users and outputs of programs.
A name alone must be, for a document, a file of the root or of the citing file's folder; for a
source or script, a file anywhere, or a header that some #include <...> names. Names of .toml and
.tsv files alone are the users' and the programs' own, as are all names alone in the code blocks of
documents. What a document is cited for must be in it: headings of these numbers ("FILE.md, 4",
"FILE.md, sections 2 and 3"), or these words ('FILE.md, "Words"').

Left out: #include lines (include_check.py reads them), URLs, what .gitignore names, names made by
patterns or variables, and placeholders: names with a word in capitals (FILE.md, X_math.h) that no
file has. After the tree itself, faults planted in a copy must all be found, and harmless lines
must not.
"""

import fnmatch
import pathlib
import re
import sys

SUFFIXES = {".h", ".cpp", ".cu", ".cuh", ".py", ".sh", ".cmake", ".toml", ".md", ".txt"}
# Its files may be named, but are not read: measured results.
UNREAD = "bench/results/"

MENTION = re.compile(
    r"[A-Za-z0-9_.+/-]*[A-Za-z0-9_+-]\.(?:md|h|cpp|cuh?|py|sh|cmake|toml|tsv)"
    r"(?!\.?[A-Za-z0-9_*+-])")
# What stands before a name that is a pattern, comes from a variable or is a library's.
NO_NAME_AFTER = set("*?$})]%~\\<>")
INCLUDE = re.compile(r"^[ \t]*#[ \t]*include[ \t]*[\"<][^\">\n]*[\">]", re.MULTILINE)
LIBRARY = re.compile(r"^[ \t]*#[ \t]*include[ \t]*<([^>\n]+)>", re.MULTILINE)
COMMENT_MARK = re.compile(r"^[ \t]*(?:///?<?|#)", re.MULTILINE)
# Lists of faults name files that are not there; URLs are not ours.
FAULTS = re.compile(r"^(?:PLANTS|HARMLESS) = \[\n.*?^\]", re.MULTILINE | re.DOTALL)
URL = re.compile(r"\w+://\S+")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
NUMBER = r"\d+(?:\.\d+)*(?![\w%])"
AND = r"(?:\s*,\s*|\s+(?:and|or|to)\s+)"
SECTIONS = re.compile(rf",?\s+(?:sections?\s+)?({NUMBER}(?:{AND}{NUMBER})*)")
QUOTED = re.compile(r',\s+\\?"([^"]+?)\\?"')
HEADING = re.compile(r"^#+ +(\d+(?:\.\d+)*)\.? ", re.MULTILINE)


def blank(pattern, text):
    """`text` with spaces for what matches, so that places in it stay the same."""
    return pattern.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)


class Tree:
    """All files of a source tree by path, with the texts of those that are read."""

    def __init__(self, paths, texts):
        self.paths, self.texts = paths, texts
        self.names = {path.split("/")[-1] for path in paths}
        self.folders = {path.rsplit("/", 1)[0] for path in paths if "/" in path}
        self.tops = {folder.split("/")[0] for folder in self.folders}
        targets = {target for text in texts.values() for target in LIBRARY.findall(text)}
        self.libraries = targets | {target.split("/")[-1] for target in targets}

    @staticmethod
    def read(root):
        ignored = [line.strip() for line in (root / ".gitignore").read_text().split()]
        paths, texts = set(), {}

        def visit(folder, prefix):
            for entry in sorted(folder.iterdir()):
                path = prefix + entry.name
                if entry.name == ".git" or any(
                        fnmatch.fnmatch(path if rule.startswith("/") else entry.name,
                                        rule.strip("/")) for rule in ignored):
                    continue
                if entry.is_dir():
                    visit(entry, path + "/")
                    continue
                paths.add(path)
                if entry.suffix in SUFFIXES and not path.startswith(UNREAD):
                    texts[path] = entry.read_text()

        visit(root, "")
        return Tree(paths, texts)


def normalised(path):
    """Without . and .. within."""
    parts = []
    for part in path.split("/"):
        if part == ".." and parts:
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts)


def is_placeholder(tree, mention):
    folder, _, name = mention.rpartition("/")
    if name in tree.names or (name.endswith(".md") and folder in tree.folders):
        return False
    return any(word.isupper() for word in re.split(r"[/_.+-]", mention.rsplit(".", 1)[0]))


def target_of(tree, path, mention):
    """The file that is meant; None if there is none of ours."""
    folder = path.rsplit("/", 1)[0] + "/" if "/" in path else ""
    for candidate in (normalised(mention), normalised(folder + mention)):
        if candidate in tree.paths:
            return candidate
    return None


def is_ours(tree, path, mention, in_code_block):
    """Whether a mention that leads nowhere ought to lead to a file of the tree."""
    name, suffix = mention.split("/")[-1], mention.rsplit(".", 1)[1]
    if mention in tree.libraries:
        return False
    if "/" in mention:
        first = mention.removeprefix("./").split("/")[0]
        beside = path.rsplit("/", 1)[0] + "/" + first if "/" in path else first
        return (first in tree.tops or beside in tree.folders or name in tree.names
                or suffix == "md")
    if suffix in {"toml", "tsv"} or in_code_block:
        return False
    return suffix == "md" or name not in tree.names


def complaints_of(tree, path):
    """What is wrong in one file."""
    text = blank(URL, blank(FAULTS, tree.texts[path]))
    blocks = []
    if path.endswith(".md"):
        blocks = [match.span() for match in FENCE.finditer(text)]
    else:
        text = blank(COMMENT_MARK, blank(INCLUDE, text))
    found = []
    for match in MENTION.finditer(text):
        mention, start = match[0], match.start()
        where = f"{path}:{text.count(chr(10), 0, start) + 1}"
        if mention.startswith("/") or text[start - 1:start] in NO_NAME_AFTER:
            continue
        target = target_of(tree, path, mention)
        if target is None:
            in_code_block = any(begin <= start < end for begin, end in blocks)
            if not is_placeholder(tree, mention) and is_ours(tree, path, mention, in_code_block):
                found.append(f"{where}: no file {mention}")
        elif target.endswith(".md"):
            document = tree.texts[target]
            headings = set(HEADING.findall(blank(FENCE, document)))
            sections = SECTIONS.match(text, match.end())
            for number in re.findall(NUMBER, sections[1]) if sections else []:
                if number not in headings:
                    found.append(f"{where}: {mention} has no section {number}")
            words = QUOTED.match(text, match.end())
            if words and " ".join(words[1].split()) not in " ".join(document.split()):
                found.append(f'{where}: {mention} does not say "{" ".join(words[1].split())}"')
    return found


def complaints(tree):
    return [line for path in sorted(tree.texts) for line in complaints_of(tree, path)]


# (file, line to add, complaint that must follow)
PLANTS = [
    ("kernels/loss/mixture.h", "// As model.md, section 7 says.", "no file model.md"),
    ("kernels/loss/mixture.h", "// See layers/models/BOOK.md, 7.", "no file layers/models/BOOK.md"),
    ("kernels/loss/mixture.h", "// See layers/book.md.", "no file layers/book.md"),
    ("kernels/loss/mixture.h", "// See spec/model.md.", "no file spec/model.md"),
    ("runtime/shape.h", "/// (layers/models/README.md, 77)", "no section 77"),
    ("runtime/shape.h", "/// (layers/models/README.md, section 77)", "no section 77"),
    ("runtime/shape.h", "/// (layers/models/README.md 77)", "no section 77"),
    ("runtime/shape.h", "/// (layers/models/README.md, sections 1 and 78)", "no section 78"),
    ("runtime/shape.h", "/// (layers/models/README.md, 1 to 79)", "no section 79"),
    ("runtime/shape.h", "/// (layers/models/README.md,\n/// 80)", "no section 80"),
    ("bench/steps/workers.py", '# bench/README.md, "Worker wages"', 'say "Worker wages"'),
    ("layers/models/README.md", "Read `measures/README.md`.", "no file measures/README.md"),
    ("README.md", "Read `kernels/idle.cu`.", "no file kernels/idle.cu"),
    ("README.md", "Run\n```\n./bench/idle.sh\n```", "no file ./bench/idle.sh"),
    ("tests/README.md", "The folder `golden/idle.py`.", "no file golden/idle.py"),
    ("tests/run.sh", "# Then attic/include_check.py.", "no file attic/include_check.py"),
    ("cmake/Cuda.cmake", "# As in idle.cmake.", "no file idle.cmake"),
    ("experiments/demo.toml", "# By experiments/idle.sh.", "no file experiments/idle.sh"),
    ("kernels/library/gemm.h", "// As idle_math.h does.", "no file idle_math.h"),
]
HARMLESS = [
    ("README.md", "`X_math.h`, `FOLDER/NAME_test.cpp`, `build/idle.h`"),
    ("README.md", "<https://example.org/kernels/idle.md>"),
    ("README.md", "```\npal-train --config my.toml --markdown steps.md\n```"),
    ("tests/run.sh", '. "$1/kernels/idle.sh"; ls kernels/*.h kernels/*_idle.cpp run/config.toml'),
    ("runtime/shape.h", "// (layers/models/README.md, 2, to four decimals; cuda_runtime.h)"),
    ("runtime/shape.h", '#include "kernels/idle.h"  // ATen/idle.h, ../runtime/shape.cpp'),
]


def with_line(tree, path, line):
    return Tree(tree.paths, tree.texts | {path: tree.texts[path] + line + "\n"})


def missed_plants(tree):
    """What goes wrong with faults and harmless lines planted one at a time in a copy."""
    missed = []
    for path, line, expected in PLANTS:
        found = complaints_of(with_line(tree, path, line), path)
        if not any(expected in complaint for complaint in found):
            missed.append(f"planted fault not found: {line!r} in {path}")
    for path, line in HARMLESS:
        known = complaints_of(tree, path)
        for complaint in complaints_of(with_line(tree, path, line), path):
            if complaint not in known:
                missed.append(f"planted without fault: {line!r}, but {complaint}")
    # A file that moves away leaves its citations behind.
    gone = "kernels/loss/mixture_math.h"
    path = "kernels/loss/mixture.h"
    moved = with_line(Tree(tree.paths - {gone}, tree.texts), path, f"// See {gone}.")
    if not complaints_of(moved, path):
        missed.append(f"not missed: {gone}")
    return missed


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: citation_check.py SOURCE_FOLDER")
    tree = Tree.read(pathlib.Path(sys.argv[1]))
    found = complaints(tree)
    found += missed_plants(tree)
    for line in found:
        print(line)
    print(f"{len(tree.texts)} files, {len(PLANTS)} planted faults, {len(found)} complaints")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
