# Read by the scripts beside it: one line a check, and Eigen's include folder in $eigen.
eigen=$(pkg-config --variable=includedir eigen3 2>/dev/null)
[ -n "$eigen" ] && eigen=$eigen/eigen3 || eigen=/usr/include/eigen3
status=0

check() { # name, command ...: "passed: name", or "failed: name" with the end of the command's output
  name=$1
  shift
  if output=$("$@" 2>&1); then
    echo "passed: $name"
  else
    printf 'failed: %s\n%s\n' "$name" "$(echo "$output" | tail -n 25 | sed 's/^/    /')"
    status=1
    return 1
  fi
}
