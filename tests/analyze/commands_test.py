"""The commands beside the report: --fail-if, --compare, slerp-path, fix, progress, Ctrl-C."""
import json
import math
import os
import pty
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

import support

PAIR = ("--image", support.IMAGE, "--text", support.TEXT)
NARROW = support.ROOT / "examples/data/image_feat_256_f16.npy"  # rows in a cone of 36 degrees


class Commands(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name)

    def tearDown(self):
        self.folder.cleanup()

    def small(self, name, rows):
        return support.save(self.path / name, rows)

    def test_fail_if(self):
        rows = [[math.cos(i), math.sin(i)] for i in range(30)]
        file = self.small("x.npy", rows)
        met = support.run("--image", file, "--json", self.path / "a.json", "--fail-if", "uniformity>-9", "--fail-if", "duplicates > 0")
        self.assertEqual(met.returncode, 3)
        sentences = [line for line in met.stderr.splitlines() if "which meets" in line]
        self.assertEqual(len(sentences), 1)
        self.assertIn('image.uniformity is', sentences[0])
        self.assertTrue((self.path / "a.json").exists(), "the report is written all the same")
        self.assertEqual(support.run("--image", file, "--fail-if", "image.uniformity>=0.5").returncode, 0)

    def test_compare(self):
        a, b = self.path / "before.json", self.path / "after.json"
        centred = []
        for name, file in (("i", support.IMAGE), ("t", support.TEXT)):
            out = self.path / f"{name}.npy"
            done = support.run("fix", "--input", file, "--output", out, "--repair", "centre")
            self.assertEqual(done.returncode, 0, done.stderr)
            centred.append(out)
        self.assertEqual(support.run(*PAIR, "--json", a).returncode, 0)
        self.assertEqual(support.run("--image", centred[0], "--text", centred[1], "--json", b).returncode, 0)
        done = support.run("--compare", a, b, "--json", self.path / "c.json", "--report", self.path / "c.html")
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = {(r["scope"], r["key"]): r["cells"][1] for r in json.loads((self.path / "c.json").read_text())["rows"]}
        before, after = json.loads(a.read_text()), json.loads(b.read_text())
        gap = rows["image-text", "gap"]
        self.assertAlmostEqual(gap["change"]["difference"], support.value(after, "gap", "image-text") - support.value(before, "gap", "image-text"))
        self.assertTrue(gap["change"]["changed"])
        self.assertLess(gap["value"], 0.05)
        low, high = rows["image-text", "recall1"]["change"]["interval"]
        self.assertTrue(low < rows["image-text", "recall1"]["change"]["difference"] < high)
        lines = [line for line in done.stdout.splitlines() if "  ->  " in line]
        told = [line for line in lines if line.endswith(")") and "no change told apart" not in line]
        self.assertTrue(told and lines[: len(told)] == told, done.stdout)  # what changed comes first
        self.assertIn(f"{len(told)} of {len(lines)} figures changed", done.stdout)
        self.assertTrue(any(line.startswith("image-text.gap ") for line in told))
        again = support.run("--compare", a, a)
        self.assertNotIn("(+", again.stdout)
        self.assertIn(f"0 of {len(lines)} figures changed", again.stdout)
        self.assertIn("no change told apart", again.stdout)

    def test_slerp_path(self):
        rows = [[1, 0, 0], [math.cos(0.4), math.sin(0.4), 0], [math.cos(0.8), math.sin(0.8), 0], [0, 1, 0], [0, 0, 2]]
        file = self.small("x.npy", rows)
        out = self.path / "path.json"
        done = support.run("slerp-path", "--image", file, "--from", "0", "--to", "image:3", "--steps", 5, "--nearest", 1, "--json", out)
        self.assertEqual(done.returncode, 0, done.stderr)
        path = json.loads(out.read_text())
        self.assertAlmostEqual(path["degrees"], 90, places=5)
        at = [k * math.pi / 8 for k in range(5)]
        nearest = [min(range(4), key=lambda r: abs((0, 0.4, 0.8, math.pi / 2)[r] - t)) for t in at]
        self.assertEqual([s["nearest"][0]["row"] for s in path["steps"]], nearest)
        self.assertAlmostEqual(path["steps"][1]["nearest"][0]["cosine"], math.cos(math.pi / 8 - 0.4), places=6)
        opposite = self.small("y.npy", [[1, 0], [-1, 0]])
        done = support.run("slerp-path", "--image", opposite, "--from", "0", "--to", "1")
        self.assertEqual(done.returncode, 2)
        self.assertIn("opposite points", done.stderr)

    def test_fix(self):
        nan = float("nan")
        rows = [[3.0, 4.0], [0.0, 0.0], [1.0, 0.0], [nan, 1.0], [3.0, 4.0], [0.0, 2.0]]
        file = self.small("x.npy", rows)
        out, kept = self.path / "y.npy", self.path / "kept.txt"
        done = support.run("fix", "--input", file, "--output", out, "--kept", kept, "--repair", "drop-bad", "drop-duplicates", "normalise")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(kept.read_text().split(), ["0", "2", "5"])
        fixed = support.load(out)
        for found, expected in zip(fixed, [[0.6, 0.8], [1, 0], [0, 1]]):
            for a, b in zip(found, expected):
                self.assertAlmostEqual(a, b, places=6)
        self.assertIn("usable: 4 -> 3", done.stdout)
        white = support.run("fix", "--input", support.IMAGE, "--output", out, "--repair", "whiten")
        self.assertEqual(white.returncode, 0, white.stderr)
        document, _ = support.report("--image", out)
        self.assertGreater(support.value(document, "iso_score", "image"), 0.9)
        self.assertEqual(document["modalities"][0]["dtype"], "f2")

    def test_slerp_path_across_modalities(self):
        """Against every cosine of both modalities with the points of the arc."""
        image, text = support.load(support.IMAGE), support.load(support.TEXT)
        out = self.path / "path.json"
        done = support.run("slerp-path", *PAIR, "--from", "image:3", "--to", "text:7", "--steps", 3, "--nearest", 5, "--json", out)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(done.stdout.splitlines()), 4)
        unit = lambda row: [x / math.sqrt(sum(v * v for v in row)) for x in row]
        dot = lambda a, b: sum(x * y for x, y in zip(a, b))
        rows = {"image": [unit(r) for r in image], "text": [unit(r) for r in text]}
        a, b = rows["image"][3], rows["text"][7]
        path = json.loads(out.read_text())
        self.assertAlmostEqual(path["degrees"], math.degrees(math.acos(dot(a, b))), places=9)
        middle = unit([x + y for x, y in zip(a, b)])
        for step, point in zip(path["steps"], (a, middle, b)):
            best = sorted((dot(point, r) for name in rows for r in rows[name]), reverse=True)[:5]
            for n, cosine in zip(step["nearest"], best, strict=True):  # equal rows come in either order
                self.assertAlmostEqual(n["cosine"], cosine, places=12)
                self.assertAlmostEqual(n["cosine"], dot(point, rows[n["modality"]][n["row"]]), places=12)

    def test_fix_centre(self):
        out = self.path / "y.npy"
        done = support.run("fix", "--input", NARROW, "--output", out, "--repair", "centre", "--json", self.path / "f.json")
        self.assertEqual(done.returncode, 0, done.stderr)
        before, _ = support.report("--image", NARROW)
        after, _ = support.report("--image", out)
        said = json.loads((self.path / "f.json").read_text())
        for when, document in (("before", before), ("after", after)):
            for key in ("mean_cosine", "effective_rank", "iso_score", "norm_mean"):
                self.assertAlmostEqual(said[when][key], support.value(document, key, "image"), delta=2e-3 * abs(said[when][key]) + 2e-4, msg=f"{when} {key}")
        self.assertLess(abs(said["after"]["mean_cosine"]), 0.1 * abs(said["before"]["mean_cosine"]))
        rows = support.load(NARROW)
        unit = [[x / math.sqrt(sum(v * v for v in r)) for x in r] for r in rows]
        mean = [sum(c) / len(unit) for c in zip(*unit)]
        moved = [x - m for x, m in zip(unit[17], mean)]
        length = math.sqrt(sum(v * v for v in moved))
        for found, expected in zip(support.load(out)[17], moved):
            self.assertAlmostEqual(found, expected / length, places=3)  # written as f2

    def test_fix_whiten(self):
        rows = [[3 * a + 0.5 * b, b, 0.2 * c + a] for a, b, c in
                ((math.sin(7 * i), math.cos(3 * i * i), math.sin(5 * i + i * i / 9)) for i in range(400))]
        file, out = self.small("x.npy", rows), self.path / "y.npy"
        self.assertEqual(support.run("fix", "--input", file, "--output", out, "--repair", "whiten").returncode, 0)
        white = support.load(out)
        mean = [sum(c) / len(white) for c in zip(*white)]
        for i in range(3):
            self.assertAlmostEqual(mean[i], 0, places=6)
            for j in range(3):
                covariance = sum((r[i] - mean[i]) * (r[j] - mean[j]) for r in white) / (len(white) - 1)
                self.assertAlmostEqual(covariance, float(i == j), places=5)
        flat = self.small("flat.npy", [[r[0], r[1], 0.0] for r in rows])  # a direction without variance stays empty
        self.assertEqual(support.run("fix", "--input", flat, "--output", out, "--repair", "whiten").returncode, 0)
        self.assertEqual({r[2] for r in support.load(out)}, {0.0})

    def test_fix_interrupted_leaves_all_or_nothing(self):
        file = self.small("x.npy", [[((i * 7919 + k * 104729) % 1000) / 1000 - 0.4 for k in range(64)] for i in range(20000)])
        kinds = set()
        for delay in (0.02, 0.1, 0.3, 0.6, 1, 2, support.HANG):
            program = subprocess.Popen([support.PROGRAM, "fix", "--input", file, "--output", self.path / "y.npy", "--kept", self.path / "kept.txt",
                                        "--json", self.path / "f.json", "--repair", "drop-duplicates", "whiten"], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            try:
                _, said = program.communicate(timeout=delay)
            except subprocess.TimeoutExpired:
                program.send_signal(signal.SIGINT)
                _, said = program.communicate(timeout=support.HANG)
            left = sorted(set(os.listdir(self.path)) - {"x.npy"})
            kinds.add(program.returncode)
            if program.returncode == 0:
                self.assertEqual(left, ["f.json", "kept.txt", "y.npy"])
                break
            self.assertEqual(program.returncode, -signal.SIGINT, said)
            self.assertEqual(left, [])
        self.assertIn(0, kinds)

    def test_progress_is_lines_when_piped_and_one_line_on_a_terminal(self):
        piped = support.run(*PAIR)
        self.assertNotIn("\r", piped.stderr)
        self.assertIn("Pairs of image and text\n", piped.stderr)
        master, slave = pty.openpty()
        program = subprocess.Popen([support.PROGRAM, *map(str, PAIR)], stderr=slave, stdout=subprocess.DEVNULL)
        os.close(slave)
        seen = b""
        while True:
            try:
                part = os.read(master, 4096)
            except OSError:
                break
            if not part:
                break
            seen += part
        self.assertEqual(program.wait(), 0)
        self.assertRegex(seen.decode(), r"\r\x1b\[K.*%, .* a second, \d+:\d\d left")

    def test_interrupt_leaves_nothing(self):
        rows = [[((i * 7919 + k * 104729) % 1000) / 1000 - 0.4 for k in range(64)] for i in range(20000)]
        file = self.small("big.npy", rows)
        program = subprocess.Popen([support.PROGRAM, "--image", file, "--report", self.path / "r.html", "--json", self.path / "r.json", "--csv", self.path / "csv"],
                                   stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for line in program.stderr:
            if line.startswith("Pairs within"):
                break
        time.sleep(0.1)
        program.send_signal(signal.SIGINT)
        _, said = program.communicate(timeout=support.HANG)
        self.assertEqual(program.returncode, -signal.SIGINT, said)
        self.assertIn("interrupted, nothing written", said)
        self.assertEqual(os.listdir(self.path), ["big.npy"])


if __name__ == "__main__":
    support.main()
