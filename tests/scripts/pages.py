"""What readme.py and docs_code.py share: the blocks of a page, a command with its output, a line a check."""
import os
import re
import subprocess
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"(?:<!-- *([^>]*?) *-->\n+)?^```(\w*)\n(.*?)^```$", re.S | re.M)  # comment before it, language, body
printing = threading.Lock()
failures = 0


def check(title, holds, details=""):
    """Prints "passed: title", or "failed: title" with the end of the details."""
    global failures
    lines = [f"{'passed' if holds else 'failed'}: {title}"]
    if not holds:
        lines += ["    " + line for line in str(details).splitlines()[-30:]]
    with printing:
        failures += not holds
        print("\n".join(lines), flush=True)
    return holds


def call(command, folder=ROOT, environment=None):
    """(whether it succeeds, what it prints); `environment` beside this process' own."""
    done = subprocess.run(command, cwd=folder, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env={**os.environ, **(environment or {})})
    return done.returncode == 0, done.stdout
