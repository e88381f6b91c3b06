"""Sphinx's settings. Mathematics becomes MathML at build time, so that the site needs no network and no script for it."""
import re
import shutil
from pathlib import Path

import latex2mathml.converter
import ziamath
from docutils import nodes

project = "spheremix"
author = "The spheremix authors"
html_title = "spheremix"
extensions = ["myst_parser"]
myst_enable_extensions = ["deflist"]
myst_fence_as_directive = ["math"]
myst_heading_anchors = 4
root_doc = "index"
html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["spheremix.css"]
html_search_scorer = str(Path(__file__).with_name("scorer.js"))
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_show_search_summary = False  # it would fetch pages, which browsers forbid from a file
html_use_index = False
pygments_style = "friendly"
pygments_dark_style = "monokai"
highlight_language = "text"
smartquotes = False
suppress_warnings = ["misc.highlighting_failure", "myst.header"]
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b6e6e", "color-brand-content": "#0b5f8a"},
    "dark_css_variables": {"color-brand-primary": "#5cc8c8", "color-brand-content": "#7cc0ee"},
    "navigation_with_keys": False,
}


def mathml(tex, display):
    """latex2mathml knows align*, pairs of \\left| \\right| and names without digits; a space after log is ours to give."""
    tex = tex.strip().replace("{aligned}", "{align*}")
    tex = re.sub(r"\|([^|]+)\|", r"\\left|\1\\right|", tex)
    tex = re.sub(r"\\operatorname\{([^}]*(?:\\_|\d)[^}]*)\}", r"\\text{\1}", tex)
    tex = re.sub(r"\\text\{[^}]*\}", lambda name: name.group(0).replace(r"\_", "_"), tex)
    return re.sub(r"(<m[io]>(?:log|max|min|cos|sin)</m[io]>)(?!<mo stretchy=\"\w+\">\()", r'\1<mspace width="0.17em"/>',
                  latex2mathml.converter.convert(tex, display=display))


def display(self, node):
    self.body.append('<div class="math">' + mathml(node.astext(), "block") + "</div>\n")
    raise nodes.SkipNode


def inline(self, node):
    self.body.append(mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def fonts(app, _):
    """The font for mathematics, which MathML wants on machines without one: STIX Two, Open Font License."""
    source = next(Path(ziamath.__file__).parent.rglob("STIXTwoMath-Regular.ttf"))
    target = Path(app.outdir) / "_static"
    target.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target / "STIXTwoMath-Regular.ttf")


def setup(app):
    app.add_html_math_renderer("mathml", (inline, None), (display, None))
    app.connect("build-finished", fonts)


html_math_renderer = "mathml"
