#!/usr/bin/env bash
# Installs the real programs that tests compare against, on a Debian machine and as root:
#   - this release's PCP with its test suite, Redis with its search module, Chromium, and small tools, as packages;
#   - the current PCP and Valkey (Debian sid) in a root of their own, so that both releases are there.
# Quick when everything is present. Installs nothing, says what is missing and exits 0 where it may
# not install (not root, not Debian, PCPBOX_PEERS=no): the tests of missing peers are then skipped aloud.
# Starts no service and leaves the machine's own configuration alone.
#
# PCP_CURRENT_ROOT  folder of the current PCP's root (default /var/cache/pcp-current/root)
# PCPBOX_PEERS=no   install nothing
set -euo pipefail

packages=(pcp pcp-conf pcp-testsuite python3-pcp redis-server redis-redisearch openssl procps util-linux
  libsasl2-modules sasl2-bin dbus avahi-daemon avahi-utils debootstrap chromium)
current=${PCP_CURRENT_ROOT:-/var/cache/pcp-current/root}
current_packages="pcp pcp-testsuite python3-pcp valkey-server libsasl2-modules sasl2-bin"
export DEBIAN_FRONTEND=noninteractive

say() { echo "peers: $*" >&2; }

# Downloads are tried again, and another package manager that is at work is waited for
apt=(apt-get -q -o Acquire::Retries=5 -o DPkg::Lock::Timeout=600)

# Runs a command until it succeeds, four times at most: mirrors fail for a moment, or change meanwhile
persistently() {
  local pause
  for pause in 5 20 60; do
    if "$@"; then return 0; fi
    echo "peers: $1 failed, again in $pause s"
    sleep $pause
  done
  "$@"
}

# The packages that are not installed, one per line
missing_packages() {
  local installed
  installed=" $(dpkg-query -W -f='${Package}/${db:Status-Status} ' "${packages[@]}" 2>/dev/null || true)"
  for package in "${packages[@]}"; do
    [[ $installed == *" $package/installed "* ]] || echo "$package"
  done
}

machine_ready() {
  [ -z "$(missing_packages)" ] && [ -d /run/pcp ] &&
    [ -s /var/lib/pcp/pmns/root ] && [ -s /var/lib/pcp/pmns/stdpmid ]
}

current_ready() {
  [ -x "$current/usr/bin/pminfo" ] && [ -x "$current/usr/lib/pcp/bin/pmproxy" ] &&
    [ -x "$current/usr/bin/valkey-server" ] && [ -s "$current/var/lib/pcp/pmns/root" ] &&
    [ -x "$current/usr/sbin/saslpasswd2" ] &&
    [ -n "$(compgen -G "$current/usr/lib/*/sasl2/libplain.so")" ]
}

# Runs a command with daemons kept from starting. PCP's post-installation script calls systemctl with
# a PATH of its own and fails where systemd is installed but did not boot the machine, so a stub is
# mounted over the program itself, in a mount namespace that ends with the command.
without_services() {
  local status=0
  if [ ! -e /usr/sbin/policy-rc.d ]; then
    policy=/usr/sbin/policy-rc.d
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
  fi
  if [ -e /usr/bin/systemctl ] && [ ! -d /run/systemd/system ]; then
    unshare -m --propagation private bash -euc '
      stub=$(mktemp)
      printf "#!/bin/sh\nexit 0\n" >"$stub"
      chmod 755 "$stub"
      mount --bind "$stub" /usr/bin/systemctl
      rm -f "$stub"
      exec "$@"' without_services "$@" || status=$?
  else
    "$@" || status=$?
  fi
  return $status
}

get_packages() { without_services "${apt[@]}" install -y --no-install-recommends "$@"; }

# With lists as the mirror has them now, and what was broken off before finished
get_packages_anew() {
  "${apt[@]}" update && without_services dpkg --configure -a && get_packages "$@"
}

install_packages() {
  local wanted
  mapfile -t wanted < <(missing_packages)
  if [ ${#wanted[@]} -gt 0 ]; then
    say "installing ${wanted[*]}"
    { get_packages "${wanted[@]}" || persistently get_packages_anew "${wanted[@]}"; } >"$log" 2>&1 ||
      { tail -n 20 "$log" >&2; return 1; }
  fi
  install -d -o pcp -g pcp -m 775 /run/pcp
  if [ ! -s /var/lib/pcp/pmns/root ] || [ ! -s /var/lib/pcp/pmns/stdpmid ]; then
    (cd /var/lib/pcp/pmns && ./Make.stdpmid && ./Rebuild -s) >"$log" 2>&1 ||
      { tail -n 20 "$log" >&2; return 1; }
  fi
}

# Runs a command inside the root $1. Mounts and processes have name spaces of their own that end with
# it: the packages start pmcd and pmlogger whatever policy-rc.d says.
inside() {
  unshare -m -p -f --propagation private bash -euc '
    root=$1
    shift
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    mount --rbind /sys "$root/sys"
    status=0
    chroot "$root" "$@" || status=$?
    exit $status' inside "$@"
}

fill() { inside "$1" "${apt[@]}" install -y --no-install-recommends $current_packages; }

# A mirror may lag behind: the expiry of its lists does not matter here.
fill_anew() {
  inside "$1" "${apt[@]}" update -o Acquire::Check-Valid-Until=false &&
    inside "$1" dpkg --configure -a && fill "$1"
}

# Installs what belongs into the root $1 and builds its name space
fill_current() {
  { fill "$1" || persistently fill_anew "$1"; } &&
    inside "$1" sh -c 'rm -rf /var/cache/apt/archives/*.deb
      mkdir -p /run/pcp && chown pcp:pcp /run/pcp && chmod 775 /run/pcp && cd /var/lib/pcp/pmns &&
      { [ -s stdpmid ] || ./Make.stdpmid; } && { [ -s root ] || ./Rebuild -s; }'
}

# Makes the root $1 anew, with what every Debian has
bootstrap() {
  rm -rf --one-file-system "$1" && debootstrap --variant=minbase --include=ca-certificates sid "$1"
}

# Builds the root beside its place and moves it there when it is whole, or adds to the one that is
# there what it lacks; one builder at a time
install_current() {
  local new=$current.new
  mkdir -p "$(dirname "$current")"
  exec 9>"$current.lock"
  flock 9
  ! current_ready || return 0
  if [ -x "$current/usr/bin/pminfo" ]; then
    say "adding to the current PCP in $current"
    fill_current "$current" >"$current.log" 2>&1 || { tail -n 20 "$current.log" >&2; return 1; }
    return 0
  fi
  say "installing the current PCP and Valkey in $current (about 1 GB, some minutes)"
  {
    persistently bootstrap "$new" &&
      printf '#!/bin/sh\nexit 101\n' >"$new/usr/sbin/policy-rc.d" &&
      chmod 755 "$new/usr/sbin/policy-rc.d" && fill_current "$new" && rm -rf "$new"/run/pcp/*
  } >"$current.log" 2>&1 || { tail -n 20 "$current.log" >&2; return 1; }
  rm -rf --one-file-system "$current"
  mv "$new" "$current"
}

! { machine_ready && current_ready; } || exit 0
if [ "${PCPBOX_PEERS:-}" = no ] || [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  command -v dpkg-query >/dev/null && say "not installed:" $(missing_packages)
  current_ready || say "no current PCP in $current"
  say "run tests/setup/peers.sh as root on Debian to install them; their tests are skipped"
  exit 0
fi
log=$(mktemp)
policy=""
trap 'rm -f "$log" $policy' EXIT
if ! machine_ready; then install_packages || say "packages could not be installed; their tests are skipped"; fi
if ! current_ready; then install_current || say "the current PCP could not be installed; its tests are skipped"; fi
