"""Each planted fault is named by a sentence of the report; without it, that sentence is not there."""
import random
import tempfile
import unittest
from pathlib import Path

import support

IMAGE, TEXT = support.load(support.IMAGE), support.load(support.TEXT)
ROWS, WIDTH = len(IMAGE), len(IMAGE[0])


def readings(image, text):
    with tempfile.TemporaryDirectory() as folder:
        files = [support.save(Path(folder) / f"{name}.npy", rows) for name, rows in (("image", image), ("text", text))]
        document, said = support.report("--image", files[0], "--text", files[1], "--threads", 2)
    for f in document["findings"][:7]:
        assert support.ascii(f["text"]) in said
    return [r for r in document["readings"] if r["level"] != "fine"], document


def copy(rows):
    return [list(row) for row in rows]


class Faults(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sound, cls.document = readings(IMAGE, TEXT)

    def expect(self, found, *parts):
        def named(list_):
            return [r["text"] for r in list_ if all(p in r["text"] for p in parts)]

        self.assertTrue(named(found), f"no sentence with {parts} among\n" + "\n".join(r["text"] for r in found))
        self.assertFalse(named(self.sound), f"the sound set has a sentence with {parts}")
        return named(found)[0]

    def test_sound_set_finds_its_pairs(self):
        self.assertGreater(support.value(self.document, "recall10", "image-text"), 0.2)
        self.assertFalse([r for r in self.sound if "do not find each other" in r["text"]])

    def test_nan_row(self):
        image = copy(IMAGE)
        image[17][3] = float("nan")
        found, document = readings(image, TEXT)
        self.expect(found, "image: 1 row holds NaN or infinity (row 17)")
        self.assertEqual([m["analysed"] for m in document["modalities"]], [ROWS - 1, ROWS - 1])

    def test_infinite_and_zero_rows(self):
        text = copy(TEXT)
        text[5][0] = float("inf")
        text[9] = [0.0] * WIDTH
        text[11] = [0.0] * WIDTH
        found, document = readings(IMAGE, text)
        self.expect(found, "text: 1 row holds NaN or infinity (row 5)")
        self.expect(found, "text: 2 rows are all zero (rows 9, 11)")
        self.assertEqual(document["modalities"][0]["analysed"], ROWS - 3)

    def test_fifty_duplicates(self):
        image = copy(IMAGE)
        before = support.value(self.document, "duplicates", "image")
        for i in range(50):
            image[1000 + i] = list(image[7])
        found, document = readings(image, TEXT)
        self.assertEqual(support.value(document, "duplicates", "image"), before + 50)
        self.expect(found, f"image: {before + 50:.0f} rows repeat an earlier row number by number")

    def test_rotated_modality(self):
        order = list(range(WIDTH))
        draw = random.Random(5)
        draw.shuffle(order)
        sign = [draw.choice((-1, 1)) for _ in order]
        text = [[s * row[k] for s, k in zip(sign, order)] for row in TEXT]  # an orthogonal matrix
        found, _ = readings(IMAGE, text)
        self.expect(found, "do not find each other", "their similarities agree", "rotated")

    def test_shuffled_pairs(self):
        text = copy(TEXT)
        random.Random(6).shuffle(text)
        found, _ = readings(IMAGE, text)
        self.expect(found, "do not find each other", "similarities do not agree", "shuffled")

    def test_shifted_pairs(self):
        found, _ = readings(IMAGE, TEXT[3:] + TEXT[:3])
        self.expect(found, "find their match 3 rows further up in text", "shifted out of order")

    def test_collapsed_dimensions(self):
        image = [row[:200] + [0.0] * (WIDTH - 200) for row in IMAGE]
        found, _ = readings(image, TEXT)
        self.expect(found, f"image: {WIDTH - 200} columns hold one value in every row (first: column 200)", "collapsed")
        self.expect(found, "image: only 200 of 256 dimensions are in use")

    def test_collapse_to_a_line(self):
        image = [[row[0], row[1], row[2]] + [0.01 * row[0]] * (WIDTH - 3) for row in IMAGE]
        found, _ = readings(image, TEXT)
        self.expect(found, "image: the variance spreads over effectively 3 of 256 dimensions: close to collapse")

    def test_hub(self):
        axis = [1.0 if k == 0 else 0.0 for k in range(WIDTH)]
        image = [[x + 2 * a for x, a in zip(row, axis)] for row in IMAGE]  # all images look one way
        text = copy(TEXT)
        text[123] = axis  # and this text stands there
        found, _ = readings(image, text)
        sentence = self.expect(found, "Row 123 of text is a hub")
        self.assertIn("of the image rows", sentence)

    def test_gap(self):
        length = 1.5
        image = [[x + (length if k == 0 else 0) for k, x in enumerate(row)] for row in IMAGE]
        text = [[x - (length if k == 0 else 0) for k, x in enumerate(row)] for row in TEXT]
        found, document = readings(image, text)
        self.expect(found, "The modalities sit in two cones", "degrees apart")
        self.assertGreater(support.value(document, "gap", "image-text"), 1)


if __name__ == "__main__":
    support.main()
