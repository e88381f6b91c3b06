# Read by the scripts beside it: one line a check, and Eigen's include folder in $eigen.
eigen=$(pkg-config --variable=includedir eigen3 2>/dev/null)
[ -n "$eigen" ] && eigen=$eigen/eigen3 || eigen=/usr/include/eigen3
status=0
cached=${cached:-} # ccache, where tests/run.sh found it

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

# For compilers of other systems: a folder with Eigen's and doctest's headers alone. Headers without code of their own may
# come from this machine; its /usr/include as a whole may not.
foreign_includes() { # folder
  mkdir -p "$1"
  doctest=$(printf '#include <doctest/doctest.h>\n' | g++ -M -x c++ - 2>/dev/null | tr ' ' '\n' | grep 'doctest/doctest.h$' | head -n 1)
  ln -sfn "$(dirname "${doctest:-/usr/include/doctest/doctest.h}")" "$1/doctest"
  ln -sfn "$eigen" "$1/eigen3"
}

install_packages() { # folder for the log, Debian's packages ...: quietly; whoever needs them looks whether they are there
  log=$1/apt.log
  shift
  as_root=
  [ "$(id -u)" -eq 0 ] || as_root=sudo
  command -v apt-get >/dev/null || return 1
  DEBIAN_FRONTEND=noninteractive
  export DEBIAN_FRONTEND
  { $as_root apt-get -qq -y --no-install-recommends install "$@" ||
    { $as_root apt-get -qq update && $as_root apt-get -qq -y --no-install-recommends install "$@"; }; } >>"$log" 2>&1
}
