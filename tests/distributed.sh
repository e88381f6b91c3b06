#!/bin/sh
# Losses over processes of MPI: 1, 2, 3 and 5 ranks against threads as ranks and against one process, what happens
# to the others when a rank fails, on one host and on two, and a loss of the device (in the emulator) over 2 and 3.
# Without MPI it says so and ends well.
# Usage: distributed.sh [folder to build in] [mpich]
#        mpich: Debian's mpich and libmpich-dev, beside Open MPI, in place of the MPI that mpicc and mpirun are
cd "$(dirname "$0")/.." || exit 1
. tests/scripts/check.sh
out=${1:-build/tests/distributed}
mkdir -p "$out"
mpirun=mpirun mpicc=mpicc
if [ "$2" = mpich ]; then
  command -v mpicc.mpich >/dev/null || install_packages "$out" libmpich-dev mpich
  mpirun=mpirun.mpich mpicc=mpicc.mpich
fi
if ! command -v $mpirun >/dev/null || ! command -v $mpicc >/dev/null; then
  echo "skipped: no MPI here: ranks of MPI were not tested"
  exit 0
fi
# Open MPI's compiler says where its header and library are, MPICH's in another way.
mpi_flags=$( ($mpicc --showme:compile && $mpicc --showme:link) 2>/dev/null || $mpicc -show 2>/dev/null | sed 's/^[^ ]* //')
run=$mpirun
if $mpirun --version 2>&1 | grep -q 'Open MPI'; then
  run="$mpirun --oversubscribe --bind-to none"
  [ "$(id -u)" -ne 0 ] || run="$run --allow-run-as-root"
fi
echo "note: $($mpirun --version 2>&1 | grep -i 'Open MPI\|Version' | head -n 1 | tr -s ' ')"
export OMP_NUM_THREADS=1

build() { # source program
  $cached g++ -std=c++20 -O1 -fopenmp -Wno-unknown-pragmas -Iinclude -Itests -isystem "$eigen" $mpi_flags -c "$1" -o "$out/$2.o" \
    >"$out/$2.log" 2>&1 && g++ -fopenmp "$out/$2.o" -o "$out/$2" $mpi_flags >>"$out/$2.log" 2>&1
}
rm -f "$out"/*.log "$out"/*.o
build tests/distributed/mpi_main.cpp mpi_main &
if ! build examples/trainer_mpi.cpp trainer_mpi || ! build examples/two_ranks.cpp two_ranks ||
  ! build tests/distributed/device_main.cpp device_main || ! wait $!; then
  echo "failed: programs with MPI build"
  head -n 20 "$out/mpi_main.log" "$out/trainer_mpi.log" "$out/two_ranks.log" "$out/device_main.log" 2>/dev/null | sed 's/^/    /'
  exit 1
fi
echo "passed: programs with MPI build"

# job seconds ranks arguments...: output to a file, never longer than that, no process left behind.
job() {
  seconds=$1 ranks=$2
  shift 2
  timeout -k 5 "$seconds" $run -np "$ranks" "$@" >"$out/job.log" 2>&1 </dev/null
}
wrong() {
  status=1
  echo "failed: $1"
  tail -n 20 "$out/job.log" | sed 's/^/    /'
}
judged() { # mode seconds ranks [program]: its lines "passed: ..." where all is well, else its "failed: ..."
  if job "$2" "$3" "$out/${4:-mpi_main}" "$1" && grep '^passed: ' "$out/job.log"; then return; fi
  status=1
  grep '^failed: ' "$out/job.log" || wrong "${4:-mpi_main} $1, $3 ranks"
}

for ranks in 1 2 3 5; do
  judged check 300 $ranks
done
for ranks in 2 3; do
  judged refuse 120 $ranks
  judged check 120 $ranks device_main
done

# A rank that fails: the job ends by itself, badly, with a sentence.
ends() { # mode sentence what
  began=$(date +%s)
  job 60 3 "$out/mpi_main" "$1"
  ended=$?
  took=$(($(date +%s) - began))
  if [ $ended -ne 0 ] && [ $took -lt 55 ] && grep -q "$2" "$out/job.log"; then
    echo "passed: $3"
  else
    wrong "$3 (status $ended, $took s)"
  fi
}
ends hang 'mpi: rank [02] of 3: waited 2000 ms for' "a rank that hangs: the others end at their timeout with a sentence"
ends stop 'mpi: rank [02] of 3: waited 2000 ms for' "a rank that is stopped: the others end at their timeout with a sentence"
judged slow 60 3
ends kill 'mpirun\|BAD TERMINATION' "a rank that is killed ends the job"
if [ "$2" = mpich ]; then # its mpirun takes the others down without a word, and ends with the status of that rank: 0
  job 60 3 "$out/mpi_main" exit
  [ $? -ne 124 ] && echo "passed: a rank that leaves without MPI_Finalize ends the job" || wrong "a rank that leaves without MPI_Finalize ends the job"
else
  ends exit 'mpirun\|BAD TERMINATION\|exit' "a rank that leaves without MPI_Finalize ends the job"
fi
ends throw 'rank 1 has had enough' "an exception of one rank outside the library ends the job with its sentence"

# Two hosts: two network namespaces with a cable between them, and an agent that steps over where ssh would.
here=smxa$$ there=smxb$$
hosts() {
  ip netns add $here && ip netns add $there && ip link add $here type veth peer name $there &&
    ip link set $here netns $here && ip link set $there netns $there &&
    ip -n $here addr add 10.99.8.1/24 dev $here && ip -n $there addr add 10.99.8.2/24 dev $there &&
    for host in $here $there; do ip -n $host link set lo up && ip -n $host link set $host up || return 1; done
}
no_hosts() {
  for host in $here $there; do
    ip netns pids $host 2>/dev/null | xargs -r kill -9 2>/dev/null
    ip netns del $host 2>/dev/null
  done
}
printf '#!/bin/sh\nshift\nexec ip netns exec %s unshare --uts sh -c "hostname %s; $*"\n' $there $there >"$out/agent.sh"
chmod +x "$out/agent.sh"
case $out in /*) agent=$out/agent.sh ;; *) agent=$PWD/$out/agent.sh ;; esac
on_two_hosts() { # seconds program arguments...
  seconds=$1
  shift
  timeout -k 5 "$seconds" ip netns exec $here $run --host 10.99.8.1:1,10.99.8.2:1 -np 2 --mca btl tcp,self \
    --mca btl_tcp_if_include 10.99.8.0/24 --mca oob_tcp_if_include 10.99.8.0/24 --mca plm_rsh_agent "$agent" "$@" \
    >"$out/job.log" 2>&1 </dev/null
}
if ! $mpirun --version 2>&1 | grep -q 'Open MPI'; then
  echo "skipped: two hosts: with Open MPI only"
elif ! hosts 2>"$out/hosts.log"; then
  echo "skipped: two hosts: no network namespaces here ($(head -n 1 "$out/hosts.log"))"
else
  if on_two_hosts 300 "$out/mpi_main" check && grep '^passed: ' "$out/job.log" | sed 's/$/ on two hosts/'; then :; else
    wrong "mpi_main check on two hosts"
  fi
  # The cable is pulled. mpirun 4.1 itself waits on: what ranks say goes to files of theirs.
  rm -f "$out"/rank.*
  on_two_hosts 60 sh -c 'exec "$0" endure >"$1.$OMPI_COMM_WORLD_RANK" 2>&1' "$out/mpi_main" "$out/rank" &
  tries=300
  until grep -q begun "$out/rank.0" 2>/dev/null || [ $tries -eq 0 ]; do tries=$((tries - 1)) && sleep 0.1; done
  ip -n $here link set $here down
  began=$(date +%s) tries=300
  until [ "$(cat "$out"/rank.* | grep -c 'mpi: rank [01] of 2: ')" -eq 2 ] || [ $tries -eq 0 ]; do tries=$((tries - 1)) && sleep 0.1; done
  if [ $tries -gt 0 ]; then
    echo "passed: a cable that is pulled: both hosts' ranks end with a sentence ($(($(date +%s) - began)) s, timeout 2 s)"
  else
    cat "$out"/rank.* >"$out/job.log"
    wrong "a cable that is pulled: both hosts' ranks end with a sentence"
  fi
fi
no_hosts
{ wait; } 2>/dev/null

# The example: one loss, the same on both ranks.
if job 60 2 "$out/two_ranks" && [ "$(grep -o 'loss [0-9.]* of all rows' "$out/job.log" | sort | uniq -c | tr -s ' ' | cut -d' ' -f2)" = 2 ]; then
  echo "passed: examples/two_ranks.cpp: both ranks have the same loss"
else
  wrong "examples/two_ranks.cpp: both ranks have the same loss"
fi

# The trainer: the parameters of one process.
for ranks in 1 2 4; do
  job 120 $ranks "$out/trainer_mpi" 20 --parameters && grep '^parameters ' "$out/job.log" >"$out/parameters.$ranks" ||
    wrong "trainer_mpi, $ranks ranks"
done
for ranks in 2 4; do
  if python3 - "$out/parameters.1" "$out/parameters.$ranks" <<'PYTHON'; then
import sys
one, more = ([float(x) for x in open(p).read().split()[1:]] for p in sys.argv[1:])
assert len(one) == len(more) and len(one) > 100
off = max(abs(a - b) for a, b in zip(one, more)) / max(map(abs, one))
print(f"note: trainer_mpi: parameters of {sys.argv[2][-1]} ranks are {off:.1e} off those of one, relative")
sys.exit(not off <= 1e-10)
PYTHON
    echo "passed: trainer_mpi: $ranks ranks have the parameters of one"
  else
    wrong "trainer_mpi: $ranks ranks have the parameters of one"
  fi
done
if left=$(pgrep -f "^$out/(mpi_main|trainer_mpi|two_ranks|device_main)"); then
  status=1
  echo "failed: no process is left behind: $left"
else
  echo "passed: no process is left behind"
fi
exit $status
