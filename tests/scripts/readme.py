#!/usr/bin/env python3
"""Does the README tell the truth? Usage: readme.py [--copy] BUILD_FOLDER   (--copy: the fresh copy of the tree only)

  ```cpp      a whole program: compiled and run; a ```text block after it is its output, to the character.
              A program that is quoted from examples/ (a comment <!-- examples/NAME.cpp --> before it) equals the file.
  ```cmake    a whole project around main.cpp, the first program: configured, built and run
  ```sh       <!-- run -->            run in a fresh copy of the tree, one after another; each line of a ```text block
                                      after it, "..." aside, is a line of the output
              <!-- run in app -->     run in the folder of the last ```cmake project
              <!-- not run: why -->   not run
  tables      every `name` in a first column is a function of the library; where the CUDA column says yes or
              emulated, of spheremix/gpu/ too; where the gradient column names a suffix, that function exists as well
  links       every relative link, image and anchor exists, those of CONTRIBUTING.md and docs/ too

Commands in the tree run one after another, as a reader's would; programs and projects beside them, on the other core,
once the first of those commands has installed the library.
"""
import os
import re
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pages
from pages import BLOCK, ROOT, check

OUT = Path(sys.argv[-1]).resolve()
TREE, APP, HOME = OUT / "tree", OUT / "app", OUT / "home"
ENV = {"HOME": str(HOME), "PKG_CONFIG_PATH": str(HOME / ".local/share/pkgconfig"),
       "CMAKE_PREFIX_PATH": str(HOME / ".local"), "CMAKE_BUILD_PARALLEL_LEVEL": str(os.cpu_count()),
       # g++ 12 sees overlapping copies in its own strings at -O3 (gcc.gnu.org/PR105329).
       "CXXFLAGS": "-Werror -Wno-error=restrict"}


def run(title, command, folder):
    holds, printed = pages.call(command, folder, ENV)
    check(title, holds, printed)
    return printed


def copy_tree():
    for folder in (TREE, APP, HOME):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT, TREE, symlinks=True, ignore=shutil.ignore_patterns("build", "build-*", ".git", "out", "__pycache__"))
    APP.mkdir(parents=True)
    HOME.mkdir()


def check_program(number, source, quoted, output):
    if quoted:
        file = ROOT / quoted
        check(f"program {number} is {quoted}", file.exists() and source.strip() in file.read_text(), source)
    path = APP / f"program{number}.cpp"
    path.write_text(source)
    if not (APP / "main.cpp").exists():
        (APP / "main.cpp").write_text(source)
    flags = subprocess.run(["pkg-config", "--cflags", "eigen3"], text=True, stdout=subprocess.PIPE).stdout.split()
    run(f"program {number} compiles", ["g++", "-std=c++20", "-O2", "-fopenmp", "-Wall", "-Wextra", "-Werror",
                                       f"-I{ROOT / 'include'}", *flags, path, "-o", path.with_suffix("")], APP)
    printed = run(f"program {number} runs", [path.with_suffix("")], ROOT) if path.with_suffix("").exists() else ""
    if output is not None:
        check(f"program {number} prints what the README shows", printed == output, f"it prints\n{printed}")


def check_project(number, text):
    (APP / "CMakeLists.txt").write_text(text.replace("/path/to/spheremix", str(ROOT)))
    shutil.rmtree(APP / "build", ignore_errors=True)
    run(f"CMake project {number} configures", ["cmake", "-S", ".", "-B", "build"], APP)
    run(f"CMake project {number} builds", ["cmake", "--build", "build"], APP)
    run(f"CMake project {number} runs", ["build/app"], APP)


def check_commands(text, comment, output):
    title = text.strip().splitlines()[0][:70]
    if comment.startswith("not run:"):
        print(f"note: the README's `{title}` is not run here ({comment[8:].strip()})")
    elif comment in ("run", "run in app"):
        printed = run(f"`{title}` works", ["sh", "-eu", "-c", text], TREE if comment == "run" else APP)
        missing = [line for line in (output or "").splitlines() if line != "..." and line not in printed.splitlines()]
        if output is not None:
            check(f"`{title}` prints what the README shows", not missing, "missing:\n" + "\n".join(missing) + f"\nprinted:\n{printed}")
    else:
        check(f"`{title}` says whether it is run", False, f"no <!-- run --> before it: {comment!r}")


def functions(folder):
    text = "\n".join(p.read_text() for p in folder.rglob("*") if p.suffix in (".hpp", ".cuh"))
    return set(re.findall(r"\b([a-z][a-z0-9_]*)(?:<[^<>;()]*>)?\(", text)), set(re.findall(r"\b(?:struct|class) (\w+)", text))


def check_tables(text):
    cpu, types = functions(ROOT / "include/spheremix")
    gpu = functions(ROOT / "include/spheremix/gpu")[0]
    for table in re.findall(r"(?:^\|.*\n)+", text, re.M):
        rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in table.splitlines()]
        head = [cell.lower() for cell in rows[0]]
        missing = []
        for row in rows[2:]:
            for name in re.findall(r"`(\w+)`", row[0]):
                if name not in cpu | types:
                    missing.append(name)
                if "cuda" in head and re.match("yes|emulated", row[head.index("cuda")]) and not (
                        {name, name + "_rows", name + "_with_gradient"} & gpu):
                    missing.append(f"gpu: {name}")
                if "gradient" in head:
                    for suffix in re.findall(r"`(_\w+)`", row[head.index("gradient")]):
                        if name + suffix not in cpu:
                            missing.append(name + suffix)
        check(f"table of {rows[0][0]}: every name exists", not missing, "\n".join(missing))


def anchors(page):
    """The anchors of a page's headings, as GitHub forms them."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
    return {re.sub(r"[^\w\- ]", "", head.strip().lower()).replace(" ", "-") for head in re.findall(r"^#+ (.*)", text, re.M)}


def check_links(page):
    absent = []
    for name, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)", page.read_text()):
        target = page.parent / name if name else page
        if "://" not in name and (not target.exists() or (anchor and anchor not in anchors(target))):
            absent.append(name + ("#" + anchor if anchor else ""))
    check(f"every relative link of {page.relative_to(ROOT)} exists", not absent, "\n".join(absent))


def main():
    text = (ROOT / "README.md").read_text()
    copy_tree()
    if "--copy" in sys.argv:
        return 0
    blocks = BLOCK.findall(text)
    programs = projects = 0
    in_tree, beside = [], []
    for i, (comment, language, body) in enumerate(blocks):
        following = blocks[i + 1] if i + 1 < len(blocks) else ("", "", "")
        output = following[2] if following[1] == "text" else None
        if language == "cpp":
            programs += 1
            quoted = comment if comment.startswith("examples/") else ""
            beside.append((check_program, programs, body, quoted, output))
        elif language == "cmake":
            projects += 1
            beside.append((check_project, projects, body))
        elif language == "sh":
            (in_tree if comment == "run" else beside).append((check_commands, body, comment, output))
    installed = threading.Event()

    def commands():
        try:
            for work, *arguments in in_tree:
                work(*arguments)
                installed.set()
        finally:
            installed.set()

    def programs_and_projects():
        installed.wait()
        for work, *arguments in beside:
            work(*arguments)

    with ThreadPoolExecutor(2) as lanes:
        for lane in [lanes.submit(commands), lanes.submit(programs_and_projects)]:
            lane.result()  # an exception there is one here
    check_tables(text)
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        check_links(page)
    return 1 if pages.failures else 0


if __name__ == "__main__":
    sys.exit(main())
