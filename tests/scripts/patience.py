"""Does a test fail with a fault planted? A program that hangs does; a slow machine alone must not look like one."""
import subprocess
import time

PATIENCE = 300  # seconds, before the same test without the fault is asked how long it takes


def fails(program, build_sound):
    """Runs `program`. Stopped by PATIENCE it hangs if the sound one (build_sound + ["-o", path] builds it) takes less
    than a tenth of the time that it was given, which is extended to that where it was less."""
    run = [str(program), "--abort-after=1"]
    try:
        return subprocess.run(run, capture_output=True, timeout=PATIENCE).returncode != 0
    except subprocess.TimeoutExpired:
        pass
    sound = program.with_name("sound")
    subprocess.run([*build_sound, "-o", str(sound)], check=True, capture_output=True)
    began = time.monotonic()
    subprocess.run([str(sound)], check=True, capture_output=True)
    limit = 10 * (time.monotonic() - began)
    if limit <= PATIENCE:
        return True
    try:
        return subprocess.run(run, capture_output=True, timeout=limit).returncode != 0
    except subprocess.TimeoutExpired:
        return True
