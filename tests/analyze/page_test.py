"""The pages in headless Chromium: no console error, no network, every plot drawn, hover and drag work.
Screenshots at two widths go to $SPHEREMIX_SCREENSHOTS, if set. Without chromedriver: status 77, skipped."""
import json
import os
import random
import re
import sys
import tempfile
import unittest
from pathlib import Path

import browser
import support

DATA = support.ROOT / "examples/data"
EMOJI = ("--image", DATA / "image_feat_256_f16.npy", "--text", DATA / "text_feat_256_f16.npy", "--labels", f"{DATA / 'items.tsv'}:group",
         "--names", f"{DATA / 'items.tsv'}:name_en", "--pictures", f"{DATA / 'atlas_48px_55x34.png'}:48x48")
DRAWN = """
return [...document.querySelectorAll("svg.plot")].map((s) => [s.getAttribute("aria-label"), s.querySelectorAll("path.series, rect").length,
  s.closest("figure").querySelectorAll("details table tbody tr").length, s.getBoundingClientRect().width]);"""
# Colours on the canvas other than the ball's own.
INK = """
const c = document.getElementById("sphere"), p = c.getContext("2d").getImageData(0, 0, c.width, c.height).data, seen = new Set();
let hash = 0;
for (let i = 0; i < p.length; i += 4) { seen.add(p[i] << 16 | p[i + 1] << 8 | p[i + 2]); hash = (hash * 31 + p[i] + p[i + 1] * 3 + p[i + 2] * 7) | 0; }
return [seen.size, hash];"""


class Pages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.path = Path(cls.folder.name)
        cls.shots = os.environ.get("SPHEREMIX_SCREENSHOTS")
        for name, arguments in (("emoji", EMOJI), ("clipart", ("--image", support.IMAGE, "--text", support.TEXT))):
            done = support.run(*arguments, "--report", cls.path / f"{name}.html", "--json", cls.path / f"{name}.json")
            assert done.returncode == 0, done.stderr
        done = support.run("--compare", cls.path / "emoji.json", cls.path / "clipart.json", "--report", cls.path / "compare.html")
        assert done.returncode == 0, done.stderr

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def shot(self, b, name):
        if self.shots:
            Path(self.shots).mkdir(parents=True, exist_ok=True)
            b.screenshot(Path(self.shots) / name)

    def sound(self, b, least):
        self.assertEqual(b.console(), [])
        plots = b.script(DRAWN)
        self.assertGreaterEqual(len(plots), least)
        for label, marks, rows, width in plots:
            self.assertTrue(label, "a plot without a text alternative")
            self.assertGreater(marks, 0, label)
            self.assertGreater(rows, 1, label)
            self.assertGreater(width, 200, label)
        text = b.script("return document.body.innerText")
        self.assertNotRegex(text, r"\bNaN\b(?! or)|undefined|\[object")

    def test_report(self):
        for width, dark in ((1200, False), (400, False), (1200, True)):
            with self.subTest(width=width, dark=dark), browser.Browser(width, 900, dark) as b:
                b.open(self.path / "emoji.html")
                self.sound(b, 7)
                self.assertLessEqual(b.script("return document.documentElement.scrollWidth"), width, "the page scrolls sideways")
                self.assertEqual(b.script("return performance.getEntriesByType('resource').filter((e) => !/^(blob|data|file):/.test(e.name)).length"), 0)
                b.script("document.getElementById('sphere').scrollIntoView({block: 'center'})")
                colours, before = b.script(INK)
                self.assertGreater(colours, 20, "the sphere is not drawn")
                box = b.script("const r = document.getElementById('sphere').getBoundingClientRect(); return [r.left, r.top, r.width]")
                x, y = box[0] + box[2] / 2, box[1] + box[2] / 2
                # Hover: the nearest mark that faces the reader shows its name and picture.
                mark = b.script("const m = ball.place().marks.filter((q) => q.z > 0.3)[5]; return [m.x, m.y]")
                b.pointer(("move", box[0] + mark[0], box[1] + mark[1]))
                tip = b.script("return [document.getElementById('tip').hidden, document.getElementById('tip').innerText, document.querySelectorAll('#tip .picture').length]")
                self.assertFalse(tip[0], "no tip at a mark")
                self.assertRegex(tip[1], r"(?s)\S.*(image|text) \d+")
                self.assertEqual(tip[2], 1)
                b.pointer(("move", x, y), ("down", 0, 0), ("move", x + 40, y + 10), ("move", x + 70, y + 20), ("up", 0, 0))
                self.assertNotEqual(b.script(INK)[1], before, "dragging does not turn the sphere")
                turned = b.script("return [...ball.view]")
                b.script("document.getElementById('sphere').focus(); document.getElementById('sphere').dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight'}))")
                self.assertNotEqual(b.script("return [...ball.view]"), turned, "the arrow keys do not turn the sphere")
                b.script("document.getElementById('sphere').dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter'}))")
                first = b.script("return document.getElementById('tip').hidden ? '' : document.getElementById('tip').innerText")
                b.script("document.getElementById('sphere').dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter'}))")
                second = b.script("return document.getElementById('tip').innerText")
                self.assertTrue(first and second and first != second, "Enter does not step through the marks")
                # Hover over a plot: its numbers.
                b.script("document.querySelector('svg.plot').scrollIntoView({block: 'center'})")
                box = b.script("const r = document.querySelector('svg.plot').getBoundingClientRect(); return [r.left + r.width / 2, r.top + r.height / 2]")
                b.pointer(("move", *box))
                self.assertRegex(b.script("return document.getElementById('tip').innerText"), r"(?s)cosine.*own pair")
                b.pointer(("move", 2, 2))
                self.assertEqual(b.script("return [...document.querySelectorAll('.picture')].filter((p) => !/blob:/.test(p.style.backgroundImage)).length"), 0)
                # Reading the canvas twice, as this test does, makes Chromium say so.
                self.assertEqual([m for m in b.console() if "Multiple readback" not in m["message"]], [])
                self.shot(b, f"report_{width}{'_dark' if dark else ''}.png")

    def test_report_without_names_and_comparison(self):
        with browser.Browser(1200, 900) as b:
            b.open(self.path / "clipart.html")
            self.sound(b, 7)
            self.shot(b, "clipart_1200.png")
            b.open(self.path / "compare.html")
            self.sound(b, 6)
            self.assertIn("gap", b.script("return document.querySelector('table').innerText").lower())
            self.shot(b, "compare_1200.png")

    def test_five_modalities_fit_a_few_screens(self):
        draw = random.Random(3)
        base = support.load(support.IMAGE)[:260]
        files = []
        for m in range(5):
            rows = [[x + draw.gauss(0, 0.02 * m) for x in row[:48]] for row in base]
            if m == 4:
                rows = [row[:40] for row in rows]  # of another width
            rows[7] = rows[31] = [0.0] * len(rows[0])
            files += ["--modality", f"m{m}={support.save(self.path / f'm{m}.npy', rows)}"]
        done = support.run(*files, "--report", self.path / "five.html")
        self.assertEqual(done.returncode, 0, done.stderr)
        for width, height, dark in ((1280, 800, False), (400, 800, False), (1280, 800, True)):
            with self.subTest(width=width, dark=dark), browser.Browser(width, height, dark) as b:
                b.open(self.path / "five.html")
                self.assertEqual(b.console(), [])
                self.assertLessEqual(b.script("return document.documentElement.scrollHeight"), 6 * height if width > 500 else 9 * height)
                self.assertLessEqual(b.script("return document.documentElement.scrollWidth"), width)
                self.shot(b, f"five_{width}{'_dark' if dark else ''}.png")
                matrix = b.script("return [...document.querySelectorAll('.matrix tbody tr')].map((r) => [...r.children].map((c) => c.innerText.replace(/\\s+/g, ' ')))")
                self.assertEqual(len(matrix), 5)
                self.assertRegex(matrix[0][2], r"% gap .* CKA")
                self.assertIn("other width", matrix[0][5])
                # Every fold opens by a key and draws then.
                folds = b.script("const f = [...document.querySelectorAll('.fold')]; f.forEach((d) => d.querySelector('summary').click()); return f.length")
                self.assertGreater(folds, 10)
                b.script("return new Promise((done) => setTimeout(done, 800))")
                self.assertEqual(b.script("return [...document.querySelectorAll('.fold')].filter((d) => !d.open || !d.children[1].firstChild).length"), 0)
                self.sound(b, 30)

    def test_map(self):
        done = support.run(*EMOJI, "--map", "--report", self.path / "map.html")
        self.assertEqual(done.returncode, 0, done.stderr)
        ink = INK.replace('"sphere"', '"map"')
        for width, dark in ((1280, False), (400, False), (1280, True)):
            with self.subTest(width=width, dark=dark), browser.Browser(width, 900, dark) as b:
                b.open(self.path / "map.html")
                self.sound(b, 7)
                self.assertLessEqual(b.script("return document.documentElement.scrollWidth"), width)
                b.script("document.getElementById('map').scrollIntoView({block: 'center'})")
                self.shot(b, f"map_{width}{'_dark' if dark else ''}.png")
                colours, before = b.script(ink)
                self.assertGreater(colours, 8, "classes have colours")
                # Layout, colours, zoom, legend: every button that is not pressed already changes the picture.
                for kind in (".bar button", ".legend button.key"):
                    for k in range(b.script("return document.querySelectorAll(arguments[0]).length", kind)):
                        was = b.script(ink)[1]
                        pressed = b.script("const n = document.querySelectorAll(arguments[0])[arguments[1]], on = n.getAttribute('aria-pressed'); n.focus(); n.click(); "
                                           "return [on, n.textContent]", kind, k)
                        b.script("return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
                        if pressed != ["true", "modality"] and not (kind == ".bar button" and pressed[0] == "true") and pressed[1] != "all":
                            self.assertNotEqual(b.script(ink)[1], was, f"{pressed} changes nothing")
                b.script("everything()")
                b.script("document.getElementById('map').scrollIntoView({block: 'center'})")
                before = b.script(ink)[1]
                b.script("chart.scale(2); return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
                self.assertNotEqual(b.script(ink)[1], before, "zooming changes nothing")
                box = b.script("const r = document.getElementById('map').getBoundingClientRect(); return [r.left, r.top, r.width, r.height]")
                # Hover, click: the neighbours in the original space, as the JSON of --lists would name them.
                i = b.script("chart.reset(); for (let i = 0; i < chart.size; ++i) { const [x, y] = chart.screen(i, 1, 1); if (x > .1 && x < .9 && y > .1 && y < .9) return i; }")
                x, y = b.script("return chart.screen(arguments[0], arguments[1], arguments[2])", i, box[2], box[3])
                b.pointer(("move", box[0] + x, box[1] + y))
                self.assertRegex(b.script("return document.getElementById('tip').innerText"), r"(image|text) \d+")
                b.pointer(("move", box[0] + x, box[1] + y), ("down", 0, 0), ("up", 0, 0))
                around = b.script("return [...document.querySelectorAll('.around li')].map((n) => n.innerText)")
                self.assertEqual(len(around), 10)
                self.assertEqual(b.script("return document.querySelectorAll('.around .picture').length"), 10)
                cosines = [float(re.search(r"-?[\d.]+$", t.strip().replace("\u2212", "-"))[0]) for t in around]
                self.assertEqual(cosines, sorted(cosines, reverse=True))
                chosen = b.script("return chart.selected")
                b.script("document.querySelector('.around button').click()")
                self.assertNotEqual(b.script("return chart.selected"), chosen, "a neighbour is not followed")
                b.script("const s = document.querySelector('input[type=search]'); s.focus(); s.value = 'cat'; s.dispatchEvent(new Event('input'))")
                self.assertGreater(b.script("return chart.found.length"), 2)
                b.script("document.querySelector('input[type=search]').dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter'}))")
                self.assertIn("cat", b.script("return chart.name(chart.selected)").lower())
                for key in ("ArrowLeft", "ArrowUp", "+", "-", "0", "Enter", "Escape"):
                    b.script("document.getElementById('map').focus(); document.getElementById('map').dispatchEvent(new KeyboardEvent('keydown', {key: arguments[0]}))", key)
                self.assertEqual([m for m in b.console() if "Multiple readback" not in m["message"]], [])

    def test_classes_outliers_and_suspects(self):
        document = json.loads((self.path / "emoji.json").read_text())
        for width, dark in ((1280, False), (400, True)):
            with self.subTest(width=width, dark=dark), browser.Browser(width, 900, dark) as b:
                b.open(self.path / "emoji.html")
                titles = b.script("return [...document.querySelectorAll('h2')].map((h) => h.innerText)")
                self.assertTrue({"Classes", "Outliers and representative rows"} <= set(titles), titles)
                self.assertEqual(b.script("return document.querySelectorAll('table[class=confusion]').length"), 0, "drawn before it opens")
                b.script("document.querySelectorAll('details.fold').forEach((d) => { d.open = true; })")
                b.script("return new Promise((done) => setTimeout(done, 500))")
                self.sound(b, 7)
                self.assertLessEqual(b.script("return document.documentElement.scrollWidth"), width)
                tables = b.script("return [...document.querySelectorAll('table.confusion')].map((t) => [...t.querySelectorAll('tbody tr')].map((r) => [...r.children].slice(1).map((c) => c.innerText)))")
                self.assertEqual(len(tables), 4)
                first = document["modalities"][0]["by_class"]
                for shown, counts in zip(tables[0], first["confusion"]):
                    for text, count in zip(shown, counts):
                        self.assertAlmostEqual(float(text or 0), 100 * count / sum(counts), delta=0.51)
                rows = b.script("return [...document.querySelectorAll('table.classes')][2].innerText")
                for c in document["pairs"][0]["classes"]["forward"]["classes"]:
                    self.assertIn(c["label"], rows)
                suspects = b.script("return [...document.querySelectorAll('table.suspects')].map((t) => [...t.querySelectorAll('tbody small')].map((c) => c.innerText.trim()))")
                self.assertEqual(suspects[0], [f"row {s['id']}" for s in document["modalities"][0]["label_noise"][:20]])
                names = b.script("return document.querySelector('[aria-label=\"Outliers and representative rows\"]').innerText")
                for m in document["modalities"]:
                    for row in m["outliers"][:6] + m["representative"][:6]:
                        self.assertIn(document["items"][str(row["id"])]["name"], names)
                self.shot(b, f"classes_{width}{'_dark' if dark else ''}.png")

    def test_two_versions(self):
        image = DATA / "image_feat_256_f16.npy"
        rows = support.load(image)
        new = support.save(self.path / "new.npy", [[x * (-1) ** k + (i % 50 == 7) * 0.02 * k for k, x in enumerate(row)] for i, row in enumerate(rows)])
        done = support.run("--drift", image, new, "--names", f"{DATA / 'items.tsv'}:name_en", "--report", self.path / "drift.html", "--json", self.path / "drift.json")
        self.assertEqual(done.returncode, 0, done.stderr)
        document = json.loads((self.path / "drift.json").read_text())
        self.assertEqual([len(f["sha256"]) for f in document["run"]["files"]], [64, 64, 64])
        for width, dark in ((1280, False), (400, True)):
            with self.subTest(width=width, dark=dark), browser.Browser(width, 900, dark) as b:
                b.open(self.path / "drift.html")
                self.assertEqual(b.console(), [])
                self.assertLessEqual(b.script("return document.documentElement.scrollWidth"), width)
                text = b.script("document.querySelectorAll('details').forEach((d) => { d.open = true; }); return document.body.innerText")
                self.assertNotRegex(text, r"\bNaN\b(?! or)|undefined|\[object")
                for part in (document["version"], document["run"]["command"], document["run"]["files"][1]["sha256"], document["moved"][0]["name"], str(document["moved"][0]["row"]), "Squared MMD", "turned"):
                    self.assertIn(part, text)
                self.shot(b, f"drift_{width}{'_dark' if dark else ''}.png")

    def test_names_that_would_be_markup(self):
        evil = ["</script><script>document.title='owned'</script>", "<img src=x onerror=\"document.title='owned'\">", "@@DATA@@ @@PICTURES@@", "\u2028 line", "' onmouseover='x", "\u202egnp.exe"]
        names = self.path / "evil.jsonl"
        rows = support.load(support.IMAGE)[:60]
        names.write_text("".join(json.dumps({"n": evil[i % 6]}) + "\n" for i in range(60)))
        file = support.save(self.path / "evil.npy", rows)
        done = support.run("--modality", f"@@STYLE@@<b>={file}", "--names", f"{names}:n", "--labels", f"{names}:n", "--map", "--report", self.path / "evil.html")
        self.assertEqual(done.returncode, 0, done.stderr)
        with browser.Browser(1280, 800) as b:
            b.open(self.path / "evil.html")
            self.assertEqual(b.console(), [])
            self.assertEqual(b.script("return document.title"), "Embeddings of @@STYLE@@<b>")
            self.assertEqual(b.script("return [document.querySelectorAll('img').length, document.querySelectorAll('[onmouseover]').length]"), [0, 0])

    def test_size_and_no_network(self):
        page = (self.path / "clipart.html").read_text()
        self.assertLess(len(page), 3_000_000)
        self.assertNotRegex(page, r"(?:src|href)\s*=\s*[\"']?(?:https?:)?//")
        self.assertNotIn("@@", page)
        emoji = (self.path / "emoji.html").read_text()
        pictures = len(re.search(r"data:image/png;base64,[A-Za-z0-9+/=]*", emoji)[0])
        self.assertLess(len(emoji) - pictures, 3_000_000)


if __name__ == "__main__":
    if not browser.available():
        print("skipped: chromedriver and chromium are not installed")
        sys.exit(77)
    support.main()
