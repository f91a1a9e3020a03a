#!/usr/bin/env bash
# Usage: python_package_test.sh FOLDER_OF_PROGRAMS SOURCE_FOLDER
# The Python package of experiments/python. Its tests run where it is installed beside pytest, for
# $PALINDROME_PYTHON or python3 (tests/nightly.sh python installs it), else they are SKIPPED; that the
# stubs and the README name what there is needs Python alone.
source "$(dirname "$0")/harness.sh" "$@"
find_python ast
package=$source_folder/experiments/python
export PYTHONDONTWRITEBYTECODE=1

expect "stubs or README differ from the package" "$python" - "$package" <<'END'
import ast, pathlib, re, sys

package = pathlib.Path(sys.argv[1])
for path in package.rglob("*.py"):
    ast.parse(path.read_text(), str(path))


def members(path, name):
    (found,) = [n for n in ast.parse(path.read_text()).body if isinstance(n, ast.ClassDef) and n.name == name]
    return {n.name for n in found.body if isinstance(n, ast.FunctionDef) and n.name[0] != "_"}


binding = (package / "engine.cpp").read_text()
bound = set(re.findall(r'\.def(?:_ro|_prop_ro)?\("(\w+)"', binding))
stubs = package / "src/palindrome" / "_engine.pyi"
stubbed = members(stubs, "Facts") | members(stubs, "Engine")
assert bound == stubbed, bound ^ stubbed
public = members(package / "src/palindrome" / "model.py", "Model")
readme = (package / "README.md").read_text()
table = {name for row in re.findall(r"^\| (`.*?) \|", readme, re.M) for name in re.findall(r"`(\w+)", row)}
assert public <= table, public - table
END

if has_module palindrome && has_module pytest; then
  PALINDROME_PROGRAMS=$programs timeout 500 "$python" -m pytest -q -p no:cacheprovider \
    -c "$package/pyproject.toml" "$package/tests" >out 2>&1 || fail "its tests: $(tail -n 30 out)"
  checks=$((checks + 1))
else
  skip_part "the package" "$python has no palindrome and pytest; pip install ./experiments/python"
fi

finish_test "the Python package"
