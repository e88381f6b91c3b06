#!/usr/bin/env python3
"""Do the pages of docs/ tell the truth? Usage: docs_code.py BUILD_FOLDER

  ```cpp      <!-- examples/NAME.cpp --> before it: lines of that file, which is compiled and run here, or by the stage that
              ELSEWHERE names
  ```text     after <!-- printed by examples/NAME.cpp -->: lines of what it prints, in order
  ```sh       <!-- run --> before it: run in the repository; a ```text block after it is its output, as above
              <!-- run: spheremix-analyze -->: the same with the tool in the PATH; needs SPHEREMIX_EXAMPLE_BUILD
              <!-- not run: why -->
  tables      that of docs/python.md in C++: a program of its lines gives what the peers gave (tests/reference/peers.json)
  ```python   <!-- not run: why -->, or <!-- tests/FILE.py -->: lines of that file
"..." as a line stands for any lines, "…" in a line for any text. docs/notes/ is a record: nothing there is run.

SPHEREMIX_EXAMPLE_BUILD may name a folder where the programs of examples/ are built already.
"""
import concurrent.futures
import json
import os
import re
import sys
from pathlib import Path

import pages
from pages import BLOCK, ROOT, call, check

OUT = Path(sys.argv[1]).resolve()
BUILT = Path(os.environ.get("SPHEREMIX_EXAMPLE_BUILD", OUT / "absent")).resolve()
ELSEWHERE = {"examples/two_ranks.cpp": "distributed", "examples/trainer_mpi.cpp": "distributed", "examples/trainer.cpp": "examples",
             "examples/grad_cache.cpp": "examples", "examples/trainer_cuda.cu": "examples",
             "examples/libtorch_trainer.cpp": "libtorch", "tests/gpu/ranks/nccl_test.cu": "cuda"}
FLAGS = ["-std=c++20", "-O1", "-fopenmp", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-Wno-error=restrict", f"-I{ROOT / 'include'}",
         f'-DSPHEREMIX_EXAMPLES_DIR="{ROOT}/examples"']


def eigen():
    found, said = call(["pkg-config", "--cflags", "eigen3"])
    return [flag.replace("-I", "-isystem") for flag in said.split()] if found else ["-isystem/usr/include/eigen3"]


def program(path):
    """(compiled and run, what it printed) of examples/NAME.cpp."""
    name = Path(path).stem
    binary = BUILT / f"spheremix-{name}"
    if not binary.exists():
        binary = OUT / name
        done, said = call(["g++", *FLAGS, *eigen(), str(ROOT / path), "-o", str(binary)])
        if not done:
            return False, said
    return call([str(binary)])


def same(shown, printed):
    """The first line of `shown` that is not in `printed`, in order; None where all are."""
    lines = iter(printed.splitlines())
    for want in shown.splitlines():
        if want.strip() == "...":
            continue
        pattern = re.compile(".*".join(map(re.escape, want.rstrip().split("…"))))
        if not any(pattern.fullmatch(line.rstrip()) for line in lines):
            return want
    return None


def stands_in(part, whole):
    """Are these lines, up to spaces, in that file? `// ...` or `# ...` leaves some out."""
    whole, at = " ".join(whole.split()), 0
    for piece in re.split(r"^\s*(?://|#) \.\.\.$", part, flags=re.M):
        at = whole.find(" ".join(piece.split()), at)
        if at < 0:
            return False
    return True


def migration():
    """The C++ table of docs/python.md gives what the peers gave."""
    sys.path.insert(0, str(ROOT / "tests/reference"))
    import peers

    def literal(rows):
        return ", ".join(repr(v) for row in rows for v in row)
    figures = json.loads(peers.RECORD.read_text())["figures"]
    lines = "".join(f'  check({json.dumps(there)}, {here}, {figures[there]["value"]!r});\n' for _, there, _, _, here in peers.table())
    source = OUT / "migration.cpp"
    source.write_text(f"""#include <cmath>
#include <cstdio>
#include <spheremix/spheremix.hpp>
#include <vector>
using namespace spheremix;
int wrong = 0;
void check(const char* there, double here, double want) {{
  if (std::abs(here - want) <= 1e-9 * std::abs(want)) return;
  ++wrong;
  std::printf("%s gives %.15g, here %.15g\\n", there, want, here);
}}
int main() {{
  const double data_x[] = {{{literal(peers.rows(0))}}}, data_y[] = {{{literal(peers.rows(1))}}};
  const Eigen::Map<const RowMatrix<double>> x(data_x, {peers.N}, {peers.D}), y(data_y, {peers.N}, {peers.D});
  const std::vector<int> labels{{{", ".join(map(str, peers.LABELS))}}};
  const double log_scale = {peers.LOG_SCALE}, bias = {peers.BIAS};
{lines}  return wrong;
}}
""")
    done, said = call(["g++", *FLAGS, "-O0", *eigen(), str(source), "-o", str(OUT / "migration")])
    if done:
        done, said = call([str(OUT / "migration")])
    check(f"the C++ table of docs/python.md: {lines.count('check(')} lines give what the peers gave", done, said)


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    found = {page: BLOCK.findall(page.read_text()) for page in sorted((ROOT / "docs").glob("*.md"))}
    quoted = {c.removeprefix("printed by ") for blocks in found.values() for c, lang, _ in blocks if re.match(r"(printed by )?examples/\S+\.cpp$", c)}
    ran = {}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        todo = sorted(path for path in quoted - set(ELSEWHERE) if (ROOT / path).exists())
        for path, (holds, printed) in zip(todo, pool.map(program, todo)):
            check(f"{path} compiles and runs", holds, printed)
            ran[path] = printed
    for page, blocks in found.items():
        name, wrong, count = page.relative_to(ROOT), [], 0
        printed = None
        for comment, language, body in blocks:
            first = body.strip().splitlines()[0][:60] if body.strip() else ""
            if language in ("math", ""):
                wrong += [f"a block without a language: {first}"] * (language == "")
                continue
            count += 1
            if language == "text":
                source = comment.removeprefix("printed by ")
                text = ran.get(source) if comment.startswith("printed by ") else printed
                absent = same(body, text) if text is not None else None
                if comment.startswith("printed by ") and text is None:
                    wrong.append(f"{source} was not run")
                if absent is not None:
                    wrong.append(f"this line is not printed: {absent}\nprinted:\n{text}")
            elif re.match(r"(examples|tests)/\S+$", comment):
                file = ROOT / comment
                if not file.exists() or not stands_in(body, file.read_text()):
                    wrong.append(f"not in {comment}: {first}")
                elif file.suffix in (".cpp", ".cu") and comment not in ran and comment not in ELSEWHERE:
                    wrong.append(f"{comment} is run by no stage")
            elif comment in ("run", "run: spheremix-analyze") and language == "sh":
                tool = BUILT / "spheremix-analyze"
                printed = None
                if comment != "run" and not tool.exists():
                    print(f"note: skipped: `{first}` of {name} wants spheremix-analyze, which stage examples builds")
                    continue
                holds, printed = call(["sh", "-eu", "-c", body], environment={"PATH": f"{BUILT}:{os.environ['PATH']}"})
                if not holds:
                    wrong.append(f"`{first}` failed:\n{printed}")
            elif comment.startswith("not run: "):
                printed = None
            else:
                wrong.append(f"a block of {language} that does not say how it is checked: {first}")
        check(f"{name}: {count} blocks", not wrong, "\n".join(wrong))
    migration()
    return 1 if pages.failures else 0


if __name__ == "__main__":
    sys.exit(main())
