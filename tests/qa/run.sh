#!/usr/bin/env bash
# Runs PCP's own tests, those that Debian installs as pcp-testsuite, with our executable in place of real
# programs: pmlogextract in the part `extract`; the example agents, the linux and mmv agents, dbpmda and what
# makes help texts and name spaces in the part `agents`; pmproxy in the part `proxy`; pmproxy and pmseries with a
# key server in the part `series`. The suites are those of this machine's PCP 6 and of the current PCP in its
# root.
#
#   tests/qa/run.sh [--real] [--part extract|agents|proxy|series] [--release 6|7] [TEST...]
#
# Without TEST: the tests that the list of the part names (extract.list and so on), which are those that pass with
# the real programs; one that fails with ours makes the exit status 1, unless the list says that it is known, and
# why.
# --real runs all tests that mention these programs with the real ones instead, which is how the lists are made.
#
# Nothing of the machine changes: everything runs in a copy-on-write view of the root, in name spaces of its
# own, without network, with a pmcd of its own. Needs root, a kernel with overlay file systems and Debian's
# archive for sudo, curl, header files and the like; says so and ends with 0 where that is missing.
#
# PCP_CURRENT_ROOT  root of the current PCP (default /var/cache/pcp-current/root)
# PCPBOX_BINARY     our executable (default dist/pcpbox)
# PCPBOX_QA_CACHE   packages and prepared files (default /var/cache/pcpbox-qa)
# PCPBOX_QA_OUT     folder for logs and the .out.bad files (default: a new folder in /tmp)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${PCPBOX_QA_CACHE:-/var/cache/pcpbox-qa}
binary=${PCPBOX_BINARY:-$here/../../dist/pcpbox}
program=ours
releases="6 7"
parts="extract agents proxy series"
tests=()

while (($# > 0)); do
  case $1 in
    --real) program=real ;;
    --part) parts=$2; shift ;;
    --release) releases=$2; shift ;;
    -*) sed -n '/^#   tests/s/^#  *//p' "$0" >&2; exit 2 ;;
    *) tests+=("$1") ;;
  esac
  shift
done

not_run() { echo "qa: not run: $1" >&2; exit 0; }
[ "$(id -u)" = 0 ] || not_run "needs root"
grep -q overlay /proc/filesystems || modprobe overlay 2>/dev/null || not_run "no overlay file systems"
unshare -mnpuif true 2>/dev/null || not_run "no name spaces"
[ "$program" = real ] || [ -x "$binary" ] || { echo "qa: no $binary; make build" >&2; exit 1; }
mkdir -p "$cache"
# The executable can be the Bun that it is made of
[ "$program" = real ] ||
  BUN_BE_BUN=1 "$binary" build "$here/programs.ts" --target=bun --outfile="$cache/programs.js" >/dev/null
out=${PCPBOX_QA_OUT:-$(mktemp -d /tmp/pcpbox-qa.XXXXXX)}
mkdir -p "$out"
chmod 777 "$out"

root_of() {
  case $1 in
    6) echo / ;;
    7) echo "${PCP_CURRENT_ROOT:-/var/cache/pcp-current/root}" ;;
  esac
}

# packages ROOT FOLDER: what PCP's tests use beside PCP, and its header files, of the distribution in the root:
# what the root does not have, with all that it needs
packages() {
  local root=$1 folder=$2 place names="sudo make bc bzip2 xz-utils bsdextrautils jq net-tools netcat-openbsd socat curl
    openssl sasl2-bin libsasl2-modules libsasl2-modules-db python3-requests pcp-gui valgrind
    libpcp3-dev libpcp-pmda3-dev libpcp-import1-dev libpcp-mmv1-dev libpcp-trace2-dev libpcp-gui2-dev
    libpcp-archive1-dev"
  [ "$(cat "$folder/names" 2>/dev/null)" != "$names" ] || return 0
  place=$(mktemp -d "${root%/}/tmp/pcpbox-qa.XXXXXX")
  # Not every release has all of them
  # shellcheck disable=SC2016
  chroot "$root" sh -c '
    cd "$1"
    shift
    missing=$(for name in "$@"; do dpkg -s "$name" >/dev/null 2>&1 || echo "$name"; done)
    known=$(apt-cache show --no-all-versions $missing 2>/dev/null | sed -n "s/^Package: //p")
    apt-get -q download $(apt-get -qs --no-install-recommends install $known |
      sed -n "s/^Inst \([^ ]*\) .*/\1/p")
  ' sh "${place#"${root%/}"}" $names >>"$out/packages.log" 2>&1 || true
  rm -rf "$folder"
  mkdir -p "$folder"
  mv "$place"/*.deb "$folder"/ 2>/dev/null || not_run "no packages from Debian's archive"
  printf '%s\n' "$names" >"$folder/names"
  rmdir "$place"
}

# box ROOT RESULTS ACTION ARG...: inside.sh in a copy-on-write view of the root
box() {
  local root=$1 results=$2 view ended=0
  shift 2
  # Mounted on inside the name space alone, so that outside it stays empty
  view=$(mktemp -d /tmp/pcpbox-qa-view.XXXXXX)
  unshare -mnpuif --propagation private bash -euc '
    here=$1 root=$2 results=$3 debs=$4 binary=$5 view=$6 cache=$7
    shift 7
    mount -t tmpfs -o size=20g none "$view"
    mkdir "$view/upper" "$view/index" "$view/root"
    mount -t overlay overlay \
      -o "lowerdir=$root,upperdir=$view/upper,workdir=$view/index" "$view/root"
    cd "$view/root"
    ip link set lo up
    mount -t proc proc proc
    mount --rbind /sys sys
    mount --rbind /dev dev
    mount -t tmpfs none run
    mount -t tmpfs none tmp
    chmod 1777 tmp
    mkdir tmp/qa tmp/debs
    mount --bind "$results" tmp/qa
    mount --bind "$debs" tmp/debs
    cp "$here/inside.sh" "$here/local-context.sh" "$here/valgrind.sh" tmp/
    if [ "$binary" != none ]; then
      cp "$binary" tmp/ours
      cp "$cache/programs.js" tmp/
    fi
    exec chroot . bash /tmp/inside.sh "$@"
  ' box "$here" "$root" "$results" "$cache/$release/debs" \
    "$([ "$program" = ours ] && echo "$binary" || echo none)" "$view" "$cache" "$@" || ended=$?
  rmdir "$view"
  return $ended
}

# about PART: a pattern of the programs that it is about
about() {
  case $1 in
    extract) echo '\bpmlogextract\b' ;;
    proxy) echo '\b(pmproxy|pmlogpush|pmsearch|webapi)\b|/pmapi/' ;;
    series) echo '\b(pmseries|redis-cli)\b|/series/|/search/' ;;
    agents) echo '\b(pmda(simple|trivial|txmon|sample|linux|mmv|[cC]ache)|dbpmda|newhelp|chkhelp|pmcpp|pmns(add|del|merge)|pmda_(mmv|linux)|LINUX_[A-Z]+)\b' ;;
  esac
}

# judge PART RELEASE FOLDER LIST: a line for each test
judge() {
  local failed skipped known test
  failed=" $(sed -n 's/^Failures://p' "$3/check.log" | tr '\n' ' ')"
  skipped=" $(sed -n 's/^Not run://p' "$3/check.log" | tr '\n' ' ')"
  for test in $4; do
    if [[ $failed == *" $test "* ]]; then
      known=$(sed -n "s/^$2 $test known: //p" "$here/$1.list")
      if [ "$program" = ours ] && [ -n "$known" ]; then
        printf '%s %s differs: %s\n' "$2" "$test" "$known"
      else
        printf '%s %s failed\n' "$2" "$test"
      fi
    elif [[ $skipped == *" $test "* ]]; then
      printf '%s %s not run\n' "$2" "$test"
    elif ! grep -qE "^(\[[0-9]+%\] )?$test\b" "$3/check.log"; then
      printf '%s %s lost\n' "$2" "$test"
    else
      printf '%s %s passed\n' "$2" "$test"
    fi
  done
}

status=0
for release in $releases; do
  root=$(root_of "$release")
  suite=${root%/}/var/lib/pcp/testsuite
  [ -x "$suite/check" ] || { echo "qa: no PCP $release test suite in $suite" >&2; continue; }
  mkdir -p "$out/$release"
  chmod 777 "$out/$release"
  packages "$root" "$cache/$release/debs"
  if [ ! -s "$cache/$release/made.tar" ]; then
    echo "qa: preparing the suite of PCP $release, once; takes minutes" >&2
    program=real box "$root" "$out/$release" make >"$out/$release/make.log" 2>&1
    mv "$out/$release/made.tar" "$cache/$release/made.tar"
  fi
  for part in $parts; do
    results=$out/$release/$part
    mkdir -p "$results"
    chmod 777 "$results"
    cp "$cache/$release/made.tar" "$results/made.tar"
    if ((${#tests[@]} > 0)); then
      list="${tests[*]}"
    elif [ "$program" = real ]; then
      list=$(cd "$suite" && grep -lE "$(about "$part")" [0-9]* | grep -v '\.' | sort -n | tr '\n' ' ')
    else
      list=$(awk -v release="$release" '$1 == release { print $2 }' "$here/$part.list" | tr '\n' ' ')
    fi
    echo "qa: PCP $release, $part, $program programs, $(wc -w <<<"$list") tests" >&2
    box "$root" "$results" "$part" "$list" >"$results/box.log" 2>&1 || true
    rm -f "$results/made.tar"
    judge "$part" "$release" "$results" "$list" | tee "$results/table"
    if [ "$program" = ours ] && grep -q -e ' failed$' -e ' lost$' "$results/table"; then status=1; fi
    echo "qa: PCP $release, $part: $(grep -c ' passed$' "$results/table" || true) of $(wc -w <<<"$list") passed; logs in $results" >&2
  done
done
exit $status
