"""Where the files go: devices, pipes, links, full disks, read-only folders; never over an input; all of them or none."""
import json
import os
import random
import re
import resource
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path

import support

DRAW = random.Random(2)
ROWS = [[DRAW.gauss(0, 1) for _ in range(6)] for _ in range(40)]
NOBODY = 65534


class Outputs(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name)
        self.x = support.save(self.path / "x.npy", ROWS)

    def tearDown(self):
        for folder, _, _ in os.walk(self.path):
            os.chmod(folder, 0o755)
        self.folder.cleanup()

    def run_here(self, *arguments, **more):
        return support.run(*arguments, cwd=self.path, **more)

    def names(self):
        return sorted(os.listdir(self.path))

    def one_sentence(self, done, status, *parts):
        self.assertEqual(done.returncode, status, done.stderr)
        said = [line for line in done.stderr.splitlines() if line.startswith("spheremix-analyze: ")]
        self.assertEqual(len(said), 1, done.stderr)
        for part in parts:
            self.assertIn(part, said[0])

    def test_links_keep_leading_where_they_led(self):
        (self.path / "real.json").write_text("old")
        os.symlink("real.json", self.path / "link.json")
        os.symlink("link.json", self.path / "far.json")
        os.symlink("new.json", self.path / "dangling.json")
        for name, real in (("link.json", "real.json"), ("far.json", "real.json"), ("dangling.json", "new.json")):
            with self.subTest(name):
                self.assertEqual(self.run_here("--image", self.x, "--json", name).returncode, 0)
                self.assertTrue((self.path / name).is_symlink())
                self.assertFalse((self.path / real).is_symlink())
                self.assertEqual(json.loads((self.path / real).read_text())["tool"], "spheremix-analyze")
        os.symlink("loop", self.path / "loop")
        self.one_sentence(self.run_here("--image", self.x, "--json", "loop"), 1, "loop", "cannot be written")

    def test_a_file_keeps_its_mode(self):
        out = self.path / "out.json"
        out.write_text("old")
        out.chmod(0o640)
        self.assertEqual(self.run_here("--image", self.x, "--json", out).returncode, 0)
        self.assertEqual(stat.S_IMODE(out.stat().st_mode), 0o640)

    @unittest.skipUnless(os.geteuid() == 0, "devices are made by root")
    def test_devices_are_written_through(self):
        os.mknod(self.path / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        os.mknod(self.path / "full", 0o666 | stat.S_IFCHR, os.makedev(1, 7))
        before = self.names()
        try:
            (self.path / "null").open("w").close()
        except PermissionError:
            self.skipTest("devices cannot be opened in this folder")
        self.assertEqual(self.run_here("--image", self.x, "--json", "null", "--report", "null").returncode, 0)
        self.assertTrue(stat.S_ISCHR((self.path / "null").stat().st_mode))
        done = self.run_here("--image", self.x, "--json", "full", "--report", "page.html", "--csv", "tables")
        self.one_sentence(done, 1, "full: cannot be written: No space left")
        self.assertEqual(self.names(), before, "nothing else appeared")
        fixed = self.run_here("fix", "--input", self.x, "--output", "y.npy", "--kept", "full", "--repair", "centre")
        self.one_sentence(fixed, 1, "full: cannot be written: No space left")
        self.assertEqual(self.names(), before)

    def test_a_pipe_gets_the_file(self):
        os.mkfifo(self.path / "pipe")
        got = []
        reader = threading.Thread(target=lambda: got.append((self.path / "pipe").read_text()))
        reader.start()
        self.assertEqual(self.run_here("--image", self.x, "--json", "pipe").returncode, 0)
        reader.join(20)
        self.assertEqual(json.loads(got[0])["tool"], "spheremix-analyze")
        self.assertTrue(stat.S_ISFIFO((self.path / "pipe").stat().st_mode))
        program = subprocess.Popen([support.PROGRAM, "--image", str(self.x), "--json", "pipe"], cwd=self.path, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, text=True)  # nobody reads: Ctrl-C must end the wait
        time.sleep(2)
        program.send_signal(signal.SIGINT)
        _, said = program.communicate(timeout=20)
        self.assertEqual(program.returncode, -signal.SIGINT, said)
        self.assertEqual(self.names(), ["pipe", "x.npy"])

    def test_the_first_figures_are_printed(self):
        document, said = support.report("--image", self.x, "--text", self.x)
        figures = {(m["scope"], m["key"]): m for m in document["metrics"]}
        for scope, key in (("image", "uniformity"), ("image-text", "recall1"), ("text-image", "recall1"), ("image-text", "gap")):
            m = figures[scope, key]
            value = re.escape(format(m["value"], f".{m['digits']}f"))
            self.assertRegex(said, rf"(?m)^   {scope}: (.*, )?{key} {value}(,|$)")

    def test_standard_output_takes_the_json(self):
        done = self.run_here("--image", self.x, "--json", "/dev/stdout")
        self.assertEqual(json.loads(done.stdout)["tool"], "spheremix-analyze")
        with open(self.path / "out.json", "w") as file:
            subprocess.run([support.PROGRAM, "--image", str(self.x), "--json", "/dev/stdout"], stdout=file, stderr=subprocess.DEVNULL, check=True)
        self.assertEqual(json.loads((self.path / "out.json").read_text())["tool"], "spheremix-analyze")

    def test_inputs_and_other_outputs_are_never_overwritten(self):
        words = self.path / "words.tsv"
        words.write_text("name\n" + "a\n" * 40)
        os.symlink("x.npy", self.path / "alias.npy")
        os.link(self.x, self.path / "twin.npy")
        os.mkdir(self.path / "tables")
        os.symlink("../words.tsv", self.path / "tables/hubs.csv")
        self.assertEqual(self.run_here("--image", self.x, "--json", "a.json").returncode, 0)
        kept = {name: (self.path / name).read_bytes() for name in self.names() if (self.path / name).is_file()}
        cases = [
            (("--image", "x.npy", "--json", "x.npy"), "is an input"),
            (("--image", "x.npy", "--json", "./alias.npy"), "is an input"),
            (("--image", "alias.npy", "--report", "twin.npy"), "is an input"),
            (("--image", "x*.npy", "--json", "x.npy"), "is an input"),
            (("--image", "x.npy", "--names", "words.tsv:name", "--json", "words.tsv"), "is an input"),
            (("--image", "x.npy", "--names", "words.tsv:name", "--csv", "tables"), "is an input"),
            (("--image", "x.npy", "--json", "same", "--report", "same"), "two outputs"),
            (("--image", "x.npy", "--json", "same", "--report", "../" + self.path.name + "/same"), "two outputs"),
            (("--image", "x.npy", "--json", "tables/metrics.csv", "--csv", "tables"), "two outputs"),
            (("--compare", "a.json", "a.json", "--json", "a.json"), "is an input"),
            (("slerp-path", "--image", "x.npy", "--from", "0", "--to", "1", "--json", "x.npy"), "is an input"),
            (("fix", "--input", "x.npy", "--output", "twin.npy", "--repair", "centre"), "is an input"),
            (("fix", "--input", "x.npy", "--output", "y.npy", "--kept", "y.npy", "--repair", "centre"), "two outputs"),
        ]
        for arguments, part in cases:
            with self.subTest(arguments):
                done = self.run_here(*arguments)
                self.one_sentence(done, 2, part)
                self.assertNotIn("Reading", done.stderr, "refused before the work")
        self.assertEqual({name: (self.path / name).read_bytes() for name in self.names() if (self.path / name).is_file()}, kept)

    def test_a_full_disk_leaves_what_was_there(self):
        """A limit on the size of files stands for a full disk."""
        (self.path / "page.html").write_text("old")
        before = self.names()
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
        for extra in ((), ("--json", "small.json")):
            done = self.run_here("--image", self.x, "--report", "page.html", *extra, preexec_fn=limit)
            self.one_sentence(done, 1, "cannot be written: File too large")
            self.assertEqual(self.names(), before)
            self.assertEqual((self.path / "page.html").read_text(), "old")
        wide = support.save(self.path / "wide.npy", [[DRAW.gauss(0, 1) for _ in range(200)] for _ in range(60)])
        done = self.run_here("fix", "--input", wide, "--output", "y.npy", "--repair", "centre", preexec_fn=limit)
        self.one_sentence(done, 1, "y.npy: cannot be written")
        self.assertNotIn("partial", done.stderr)
        self.assertEqual(self.names(), sorted(before + ["wide.npy"]))

    def test_a_rename_that_fails_puts_everything_back(self):
        """The second target turns into a folder while the work goes on."""
        (self.path / "a.json").write_text("old")
        os.mkfifo(self.path / "names")
        program = subprocess.Popen([support.PROGRAM, "--image", "x.npy", "--names", "names", "--json", "a.json", "--report", "b.html"],
                                   cwd=self.path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        with open(self.path / "names", "w") as names:  # opens when the program reads it: its outputs are planned by then
            os.mkdir(self.path / "b.html")
            (self.path / "b.html" / "full").write_text("")
            names.write("a\n" * 40)
        _, said = program.communicate(timeout=60)
        self.assertEqual(program.returncode, 1, said)
        self.assertIn("b.html: cannot be written", said)
        self.assertEqual((self.path / "a.json").read_text(), "old")
        self.assertEqual(self.names(), ["a.json", "b.html", "names", "x.npy"])

    @unittest.skipUnless(os.geteuid() == 0, "another user is taken by root")
    def test_read_only_folders(self):
        os.chmod(self.path, 0o755)
        os.mkdir(self.path / "own")
        os.chown(self.path / "own", NOBODY, NOBODY)
        (self.path / "own" / "locked.json").write_text("old")
        (self.path / "own" / "locked.json").chmod(0o444)
        program = shutil.copy(support.PROGRAM, self.path / "program")  # the build folder may be closed to others
        for arguments, part in ((("--json", "out.json"), "out.json: cannot be written: Permission denied"),
                                (("--csv", "tables"), "tables: cannot be written: Permission denied"),
                                (("--json", "own/locked.json"), "locked.json: cannot be written: Permission denied")):
            with self.subTest(arguments):
                done = subprocess.run([program, "--image", "x.npy", *arguments], cwd=self.path, user=NOBODY, group=NOBODY,
                                      capture_output=True, text=True)
                self.one_sentence(done, 1, part)
        self.assertEqual((self.path / "own" / "locked.json").read_text(), "old")
        self.assertEqual(self.names(), ["own", "program", "x.npy"])

    def test_full_and_closed_standard_output(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run([support.PROGRAM, "--image", str(self.x)], stdout=full, stderr=subprocess.PIPE, text=True)
        self.one_sentence(done, 1, "standard output: cannot be written: No space left")
        closed = subprocess.run(["sh", "-c", f'"{support.PROGRAM}" --image "{self.x}" --json "{self.path}/o.json" >&-'], stderr=subprocess.PIPE, text=True)
        self.one_sentence(closed, 1, "standard output: cannot be written")
        self.assertEqual(json.loads((self.path / "o.json").read_text())["tool"], "spheremix-analyze", "not what would have been printed")
        reader, writer = os.pipe()
        os.close(reader)
        gone = subprocess.run([support.PROGRAM, "--image", str(self.x)], stdout=writer, stderr=subprocess.PIPE, text=True)
        os.close(writer)
        self.assertEqual(gone.returncode, -signal.SIGPIPE, "as every program of a pipeline")

    def test_signals_end_as_the_shell_expects(self):
        big = support.save(self.path / "big.npy", [[((i * 7919 + k * 104729) % 1000) / 1000 - 0.4 for k in range(64)] for i in range(20000)])
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            program = subprocess.Popen([support.PROGRAM, "--image", str(big), "--json", str(self.path / "o.json")],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            for line in program.stderr:
                if line.startswith("Pairs within"):
                    break
            program.send_signal(number)
            _, said = program.communicate(timeout=60)
            self.assertEqual(program.returncode, -number, said)
            self.assertIn("interrupted, nothing written", said)
            self.assertEqual(self.names(), ["big.npy", "x.npy"])

    def test_nothing_raw_reaches_the_terminal(self):
        evil = ["\x1b[31mred\x1b]0;title\x07", "\u202egnp.exe", "two\nlines", "\u2028sep", "c1\x9bm", "caf\u00e9 \U0001f600"]
        names = self.path / "names.jsonl"
        names.write_text("".join(json.dumps({"n": evil[i % 6]}) + "\n" for i in range(40)))
        hub = support.save(self.path / "hub.npy", [[1.0, 0.0, 0.0]] * 6 + [[1, 0.1 * (i % 7), 0.1 * (i % 5)] for i in range(34)])
        done = self.run_here("--image", hub, "--names", f"{names}:n", "--modality", "a\x1b[31m\u202eb=" + str(self.x))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("a\\x1b[31m\\u{202e}b", done.stdout)
        for text in (done.stdout, done.stderr):
            self.assertTrue(text.isascii(), text)
            self.assertEqual([c for c in text if ord(c) < 32 and c != "\n"], [])
        wrong = self.run_here("--image", "no\x1b[31m\u202e.npy")
        self.one_sentence(wrong, 2, "no\\x1b[31m\\u{202e}.npy")
        path = self.run_here("slerp-path", "--image", hub, "--names", f"{names}:n", "--from", "0", "--to", "39")
        self.assertTrue(path.stdout.isascii() and "\x1b" not in path.stdout, path.stdout)
        import pty
        master, slave = pty.openpty()
        program = subprocess.Popen([support.PROGRAM, "--image", str(hub), "--names", f"{names}:n"], stdout=slave, stderr=subprocess.DEVNULL,
                                   env={**os.environ, "LC_ALL": "C.UTF-8"})
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
        program.wait()
        shown = seen.decode()
        self.assertIn("\u2212", shown, "a terminal with letters gets the real minus")
        self.assertEqual([c for c in shown if (ord(c) < 32 and c not in "\r\n") or c in "\u202e\u2028\x9b"], [])

    def test_cells_are_no_formulas(self):
        evil = ["=cmd|' /C calc'!A0", "+1", "-1", "@x", "\tt", 'says "hi"', "two\nlines", "a,b"]
        names = self.path / "names.jsonl"
        names.write_text("".join(json.dumps({"n": evil[i % 8]}) + "\n" for i in range(40)))
        self.assertEqual(self.run_here("--image", self.x, "--names", f"{names}:n", "--csv", "tables").returncode, 0)
        import csv
        with open(self.path / "tables/hubs.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual(len(rows), 10)
        for row in rows:
            raw = evil[int(row["row"]) % 8]
            self.assertEqual(row["name"], "'" + raw if raw[0] in "=+-@\t" else raw)

    def test_an_installed_program_works_alone(self):
        rule = Path(support.PROGRAM).parent / "cmake_install.cmake"
        if shutil.which("cmake") is None or not rule.exists():
            self.skipTest("no cmake, or the program lies in no build folder")
        prefix = self.path / "prefix"
        done = subprocess.run(["cmake", f"-DCMAKE_INSTALL_PREFIX={prefix}", "-P", rule], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        program = prefix / "bin/spheremix-analyze"
        done = subprocess.run([program, "--image", support.IMAGE, "--text", support.TEXT, "--report", "r.html"], cwd=self.path, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("R@1", (self.path / "r.html").read_text())

    def test_the_templates_are_inside_the_program(self):
        moved = shutil.copy(support.PROGRAM, self.path / "moved")
        done = subprocess.run(["strace", "-f", "-e", "trace=open,openat", moved, "--image", str(self.x), "--report", "page.html"],
                              cwd=self.path, capture_output=True, text=True) if shutil.which("strace") else None
        if done is None:
            done = subprocess.run([moved, "--image", str(self.x), "--report", "page.html"], cwd=self.path, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("report.html", done.stderr)
        self.assertNotIn(b"examples/analyze/report.html", Path(support.PROGRAM).read_bytes())
        self.assertNotIn("@@", (self.path / "page.html").read_text())


if __name__ == "__main__":
    support.main()
