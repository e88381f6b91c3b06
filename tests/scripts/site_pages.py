#!/usr/bin/env python3
"""Every page of the site in headless Chromium: `site_pages.py SITE`; `site_pages.py SITE SHOTS PAGE ...` draws pages only.

At 400 and 1280 px, light and dark: no message on the console, nothing wider than the page, mathematics drawn. The search of
the site finds a page. Screenshots of the named pages go to the folder SHOTS.
"""
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "analyze"))
import browser  # noqa: E402

SITE = Path(sys.argv[1]).resolve()
WIDER = """
const held = e => { for (; e && e.tagName !== 'ARTICLE' && e !== document.body; e = e.parentElement) if (/auto|scroll/.test(getComputedStyle(e).overflowX)) return true; return false; };
const over = [...document.querySelectorAll('article *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !held(e));
const wide = Math.max(document.documentElement.scrollWidth - document.documentElement.clientWidth, ...over.map(e => Math.round(e.getBoundingClientRect().right - innerWidth)));
const flat = [...document.querySelectorAll('math')].filter(m => m.getBoundingClientRect().height < 8).length;
const broken = [...document.images].filter(i => i.complete && i.naturalWidth === 0).map(i => i.src);
return [wide, flat, broken];
"""
FIND = "return [...document.querySelectorAll('#search-results li a')].map(a => a.getAttribute('href'))"


def faults_of(b, page):
    b.open(page)
    wide, flat, broken = b.script(WIDER)
    said = [m["message"] for m in b.console() if m["level"] in ("SEVERE", "WARNING")]
    for what, bad in (("wider than the window by", max(wide, 0)), ("mathematics not drawn", flat), ("absent pictures", broken), ("console", said)):
        if bad:
            yield f"{page.relative_to(SITE)}: {what} {bad}"


def faults_of_search(b):
    b.open(f"{SITE}/search.html?q=clip_with_gradient")
    found, waited = [], 0.0
    while not found and waited < 60:
        time.sleep(0.2)
        waited += 0.2
        found = b.script(FIND)
    if not any("losses/clip.hpp" in link for link in found):
        yield f"the search for clip_with_gradient gives {found[:5]}"


def draw(folder, names):
    folder.mkdir(parents=True, exist_ok=True)
    for width, dark in ((400, False), (1280, False), (400, True), (1280, True)):
        with browser.Browser(width, 900, dark) as b:
            for name in names:
                b.open(SITE / name)
                b.screenshot(folder / f"{name.replace('/', '_')}-{width}{'-dark' if dark else ''}.png")


def main():
    if not browser.available():
        print("note: skipped: no chromium with chromedriver here, so no page was opened")
        return 0
    if sys.argv[2:]:
        return draw(Path(sys.argv[2]), sys.argv[3:])
    pages = sorted(p for p in SITE.rglob("*.html") if "_static" not in p.parts)
    failures = 0
    for width, dark in ((400, False), (1280, True)):
        with browser.Browser(width, 900, dark) as b:
            wrong = [fault for page in pages for fault in faults_of(b, page)] + list(faults_of_search(b))
        failures += bool(wrong)
        print(f"{'failed' if wrong else 'passed'}: {len(pages)} pages at {width} px, "
              f"{'dark' if dark else 'light'}: no console message, no overflow, mathematics drawn, search works")
        print("".join(f"    {line}\n" for line in wrong), end="")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
