"""Every figure of both bundled sets against NumPy's, relative error 1e-6 (recorded by record.py)."""
import json
import unittest

import support

TOLERANCE = 1e-6


class Figures(unittest.TestCase):
    def check(self, name):
        recorded = json.loads((support.ROOT / "tests/analyze/recorded.json").read_text())[name]
        document, _ = support.report("--image", support.ROOT / recorded["image"], "--text", support.ROOT / recorded["text"])
        worst, compared = (0, ""), 0
        for scope, figures in recorded["figures"].items():
            for key, expected in figures.items():
                found = support.value(document, key, scope)
                error = abs(found - expected) / max(abs(expected), 1e-12) if expected else abs(found)
                worst = max(worst, (error, f"{scope}.{key}: {found} where NumPy has {expected}"))
                compared += 1
        for m in document["metrics"]:
            self.assertTrue(m["reading"].endswith("."), m)
            self.assertTrue(m["formula"] and m["how"] == "exact", m)
            if "interval" in m and m["value"] is not None:
                low, high = m["interval"]
                self.assertTrue(low <= m["value"] <= high, m)
        shift = document["pairs"][0]["curves"]["shift"]
        unmoved = sum(support.value(document, "recall1", s) for s in ("image-text", "text-image")) / 2
        self.assertAlmostEqual(shift["recall1"][shift["alpha"].index(0)], unmoved, places=12)
        self.assertAlmostEqual(shift["gap"][shift["alpha"].index(0)], support.value(document, "gap", "image-text"), places=9)
        print(f"{name}: {compared} figures, largest relative error {worst[0]:.2g} ({worst[1]})")
        self.assertGreater(compared, 49)
        self.assertLess(worst[0], TOLERANCE, worst[1])

    def test_emoji(self):
        self.check("emoji")

    def test_openclipart(self):
        self.check("openclipart")


if __name__ == "__main__":
    support.main()
