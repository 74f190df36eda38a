#!/usr/bin/env bash
# Stands for pminfo, pmprobe and pmval where PCP's tests ask PCP's linux agent in a local context: the same
# question goes to our linux agent by a collector of its own, which lives as long as the question. Everything
# else goes to the real program, which is kept in /usr/lib/pcp/real.
real=/usr/lib/pcp/real/${0##*/}
[[ " $* " =~ pmda_linux(\.so)?,linux_init && ! "$*" =~ add,.*add, ]] || exec "$real" "$@"

words=()
while (($# > 0)); do
  case $1 in
    -K) shift ;;
    -L | -K*) ;;
    *) words+=("$1") ;;
  esac
  shift
done

place=$(mktemp -d /tmp/qa-local.XXXXXX)
port=$((20000 + $$ % 20000))
socket=$place/pmcd.socket
cat >"$place/agents.toml" <<END
[[agent]]
name = "linux"
domain = 60
command = ["/usr/lib/pcp/pmdas/linux/pmdalinux", "-d", "60", "-l", "$place/linux.log"]
END
/usr/lib/pcp/bin/pcpbox pmda-run --listen "$port" --local -s "$socket" --agents "$place/agents.toml" >"$place/log" 2>&1 &
collector=$! ready=0
trap 'kill $collector; wait $collector 2>/dev/null; rm -r "$place"' EXIT
for ((tries = 0; tries < 500 && ! ready; tries++)); do
  [ ! -S "$socket" ] || ready=1
  kill -0 $collector 2>/dev/null || { cat "$place/log" >&2; exit 1; }
  sleep 0.02
done
# By its socket the collector knows who asks
"$real" -h "unix://$socket" "${words[@]}"
