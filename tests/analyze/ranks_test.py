"""spheremix-analyze-mpi beside the tool of one process: the same document, files by the first process alone, one sentence
and one exit status where something is wrong on one of them."""
import json
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import support

RUN = ["mpirun"]
if shutil.which("mpirun"):
    about = subprocess.run(["mpirun", "--version"], capture_output=True, text=True).stdout
    if "Open MPI" in about:
        RUN += ["--oversubscribe", "--bind-to", "none"] + (["--allow-run-as-root"] if os.getuid() == 0 else [])
QUIETLY = {"env": {**os.environ, "OMP_NUM_THREADS": "1"}, "stdin": subprocess.DEVNULL, "text": True}
START = 'echo $$ >"$1/pid.${OMPI_COMM_WORLD_RANK:-$PMI_RANK}"\n[ "$2" = . ] || cd "$1/${OMPI_COMM_WORLD_RANK:-$PMI_RANK}" || exit 9\nshift 2\nexec "$@"\n'


def tool():
    return Path(support.PROGRAM + "-mpi")


def mpirun(*command):
    return subprocess.run([*RUN, *map(str, command)], capture_output=True, timeout=support.HANG, **QUIETLY)


def together(ranks, *arguments):
    return mpirun("-np", ranks, tool(), *arguments)


def own_lines(text):
    """What the tool said: mpirun adds lines of its own."""
    return [line for line in text.splitlines() if line.startswith("spheremix-analyze: ")]


def alive(pid):
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def differences(a, b, path=""):
    """Where two documents differ: counts and words at all, figures by more than 1e-10, what is rounded to six digits by more than the last."""
    if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        return [d for key in a for d in differences(a[key], b[key], f"{path}/{key}")]
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        return [d for i, (x, y) in enumerate(zip(a, b)) for d in differences(x, y, f"{path}/{i}")]
    if isinstance(a, float) and isinstance(b, float):
        rounded = not path.endswith("/value") and len(repr(a)) <= 12
        return [] if abs(a - b) <= (1.01e-5 if rounded else 1e-10) * max(abs(a), abs(b)) or abs(a - b) < 1e-14 else [(path, a, b)]
    return [] if a == b else [(path, a, b)]


class Ranks(support.Folder):
    def setUp(self):
        super().setUp()
        if not shutil.which("mpirun") or not tool().exists():
            self.skipTest("no MPI, or the tool was built without it")

    def same(self, ranks, *arguments):
        alone, said = support.report(*arguments)
        out = self.path / "together.json"
        done = together(ranks, *arguments, "--json", out)
        self.assertEqual(done.returncode, 0, done.stderr)
        document = json.loads(out.read_text())
        self.assertEqual(document["settings"].pop("processes"), ranks)
        for one in (alone, document):
            one.pop("run")
            for key in ("seconds", "threads", "given"):
                one["settings"].pop(key)
        self.assertEqual(differences(alone, document), [])
        self.assertEqual(done.stdout, said)

    def test_pairs_with_labels(self):
        rows = len(support.load(support.IMAGE))
        labels = self.put("labels.tsv", ("\n".join(str(i % 7) for i in range(rows)) + "\n").encode())
        for ranks in (2, 3):
            self.same(ranks, "--image", support.IMAGE, "--text", support.TEXT, "--labels", labels)

    def test_samples_in_single_precision_shards_and_bad_rows(self):
        rows = support.load(support.IMAGE)
        rows[3] = [0.0] * len(rows[3])
        rows[700][5] = float("nan")
        rows[9] = rows[4]
        for i, (first, last) in enumerate(((0, 500), (500, 501), (501, len(rows)))):
            support.save(self.path / f"part_{i}.npy", rows[first:last])
        self.same(2, "--image", self.path / "part_*.npy", "--text", support.TEXT, "--exact-rows", 1000, "--sample", 900, "--precision", "single")
        few = support.save(self.path / "few.npy", rows[10:17])  # fewer rows than columns, and than ranks' tiles
        self.same(5, "--image", few)

    def test_everything_is_written_once_and_the_gate_closes_for_all(self):
        out = self.path / "out"
        done = together(2, "--image", support.IMAGE, "--text", support.TEXT, "--lists", out, "--report", self.path / "r.html", "--map",
                        "--fail-if", "image-text.recall1<1.1")
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertEqual(len(own_lines(done.stderr)), 1)
        self.assertEqual(done.stderr.count("2 ranks, 1 thread each"), 1)
        alone = self.path / "alone"
        support.run("--image", support.IMAGE, "--text", support.TEXT, "--lists", alone)
        for file in alone.iterdir():
            self.assertEqual((out / file.name).read_text(), file.read_text(), file.name)
        self.assertEqual(sorted(f.name for f in out.iterdir()), sorted(f.name for f in alone.iterdir()))
        self.assertTrue((self.path / "r.html").exists())

    def test_neighbours_are_read_by_parts_and_written_once(self):
        rows = support.load(support.IMAGE)[:900]
        rows[3] = [0.0] * len(rows[3])
        x = support.save(self.path / "x.npy", rows)
        labels = self.put("labels.tsv", "".join(f"{i % 7}\n" for i in range(900)))
        alone, out = self.path / "alone", self.path / "out"
        support.report("--image", x, "--neighbours-out", alone)
        self.assertEqual(together(3, "--image", x, "--neighbours-out", out).returncode, 0)
        self.assertEqual(sorted(f.name for f in out.iterdir()), ["image_cosines.npy", "image_ids.npy"])
        for file in alone.iterdir():
            self.assertEqual((out / file.name).read_bytes(), file.read_bytes(), file.name)
        given = ("--image", x, "--labels", labels, "--neighbours", f"image={out}/image_ids.npy,{out}/image_cosines.npy")
        self.same(3, *given)
        self.same(2, *given, "--exact-rows", 500, "--sample", 400)
        self.refused(2, "is an input and would be overwritten", *given, "--neighbours-out", out)
        self.refused(2, "--neighbours-out: image is a sample of 400 of 899 rows", "--image", x, "--neighbours-out", alone, "--exact-rows", 500, "--sample", 400)
        cosines = bytearray((out / "image_cosines.npy").read_bytes())
        cosines[-1] |= 128  # the sign of the last one, which the second process reads
        (out / "image_cosines.npy").write_bytes(cosines)
        self.refused(2, f"rank 1 of 2: --neighbours image: {out}/image_cosines.npy: row 899, column 10 holds -0.", *given)
        (out / "image_ids.npy").unlink()
        self.refused(2, f"--neighbours image: {out}/image_ids.npy: cannot be opened", *given)

    def refused(self, status, sentence, *arguments, ranks=2):
        done = together(ranks, *arguments)
        self.assertEqual(done.returncode, status, done.stderr)
        said = own_lines(done.stderr)
        self.assertEqual(len(said), 1, done.stderr)
        self.assertIn(sentence, said[0])
        self.assertEqual(done.stdout, "")

    def test_wrong_input_is_one_sentence(self):
        self.refused(2, "nowhere.npy", "--image", self.path / "nowhere.npy")
        self.refused(2, "standard input reaches one process alone", "--image", "-")
        self.refused(2, "fix is the work of one process", "fix", "--input", support.IMAGE, "--output", self.path / "y.npy", "--repair", "centre")
        self.refused(2, "no embeddings given")
        self.refused(2, "there is no folder", "--image", support.IMAGE, "--json", self.path / "no" / "x.json")
        done = together(2, "--version")
        self.assertEqual((done.returncode, done.stdout.count("\n")), (0, 1))

    def test_what_is_wrong_on_one_process_alone(self):
        # Each process in a folder of its own, as on two hosts: the second lacks the file, or has another.
        here, there = self.path / "0", self.path / "1"
        for folder in (here, there):
            folder.mkdir()
        start = self.put("start.sh", START)

        def apart(*arguments):
            return mpirun("-np", 2, "sh", start, self.path, "own", tool(), *arguments)
        rows = support.load(support.IMAGE)[:40]
        support.save(here / "x.npy", rows)
        done = apart("--image", "x.npy")
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertEqual([line.startswith("spheremix-analyze: rank 1 of 2: x.npy: ") for line in own_lines(done.stderr)], [True], done.stderr)
        support.save(there / "x.npy", rows[:30])
        done = apart("--image", "x.npy")
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertEqual(len(own_lines(done.stderr)), 1, done.stderr)
        self.assertIn("is not the same file for every process", done.stderr)
        # As many rows and bytes, other numbers; then other numbers in --index.
        support.save(there / "x.npy", [[-v for v in row] for row in rows])
        for folder, first in ((here, 0), (there, 1)):
            support.save(folder / "y.npy", rows)
            (folder / "index.txt").write_text("".join(f"{(first + i) % 40}\n" for i in range(40)))
        for arguments, sentence in ((("--image", "x.npy"), "x.npy: row 20 is not the same for every process"),
                                    (("--image", "y.npy", "--text", "y.npy", "--index", "index.txt"), "index.txt: is not the same file for every process")):
            done = apart(*arguments)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertEqual(len(own_lines(done.stderr)), 1, done.stderr)
            self.assertIn(sentence, done.stderr)
        for folder, k in ((here, 12), (there, 13)):
            support.save(folder / "d.npy", [[0.0] * k] * 40)
            (folder / "i.npy").write_bytes(support.header("<i8", 40, k) + bytes(40 * k * 8))
        done = apart("--image", "y.npy", "--neighbours", "image=i.npy,d.npy")
        self.assertEqual((done.returncode, len(own_lines(done.stderr))), (2, 1), done.stderr)
        self.assertIn("i.npy: is not the same file for every process", done.stderr)
        different = mpirun("-np", 1, tool(), "--image", support.IMAGE, ":", "-np", 1, tool(), "--image", support.TEXT)
        self.assertEqual(different.returncode, 2, different.stderr)
        self.assertIn("rank 1 of 2 has other options than rank 0", different.stderr)

    def test_a_process_that_stops_or_dies_ends_the_others(self):
        start = self.put("start.sh", START)
        rows = [[random.gauss(0, 1) for _ in range(32)] for _ in range(6000)]
        big = support.save(self.path / "big.npy", rows)
        for what, sentence in ((signal.SIGSTOP, "mpi: rank 0 of 2: waited 2000 ms for"), (signal.SIGKILL, "")):
            work = subprocess.Popen([*RUN, "-np", "2", "sh", str(start), str(self.path), ".", str(tool()), "--image", str(big), "--text", str(big),
                                     "--timeout", "2"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **QUIETLY)
            said = []
            while not said or "Moments of image" not in said[-1]:
                said.append(work.stdout.readline())
                self.assertNotEqual(said[-1], "", said)
            os.kill(int((self.path / "pid.1").read_text()), what)
            said.append(work.communicate(timeout=support.HANG)[0])
            self.assertNotEqual(work.returncode, 0, said)
            self.assertIn(sentence, said[-1])
            for rank in (0, 1):
                pid = int((self.path / f"pid.{rank}").read_text())
                until = time.monotonic() + 60
                while alive(pid) and time.monotonic() < until:
                    time.sleep(0.1)
                self.assertFalse(alive(pid), f"rank {rank} is left after {what}")


if __name__ == "__main__":
    support.main()
