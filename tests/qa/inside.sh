#!/usr/bin/env bash
# Inside the copy-on-write view that pmlogextract.sh makes of a machine: brings its PCP test suite into a
# state in which tests run, then either makes the suite's own programs and archives (`make`, kept as
# /tmp/qa/made.tar) or runs tests (`check "TEST..."`). Run by bash as root with nothing to lose.
action=$1 list=${2:-}
export PATH=/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/pcp/bin LC_ALL=C
suite=/var/lib/pcp/testsuite
vars=/var/lib/pcp
as_tester() { su pcpqa -s /bin/bash -c "cd $suite && $1"; }

# --keep-directory-symlink: /lib is a link on merged systems, and a directory in packages
for package in /tmp/debs/*.deb; do
  dpkg-deb --fsys-tarfile "$package" | tar -x -C / --keep-directory-symlink
done
printf '%s\n' 'root ALL=(ALL:ALL) ALL' 'pcpqa ALL=(ALL:ALL) NOPASSWD: ALL' \
  'Defaults env_keep += "PCP_*"' >/etc/sudoers
chmod 440 /etc/sudoers
printf '127.0.0.1 localhost %s\n' "$(hostname)" >/etc/hosts

# No systemd here: PCP then uses its init scripts, which are on when these links are there
rm -f /usr/bin/systemctl /bin/systemctl /usr/sbin/runlevel /sbin/runlevel
mkdir -p /etc/rc3.d
for service in pmcd pmlogger pmie pmproxy; do ln -sf "../init.d/$service" "/etc/rc3.d/S20$service"; done
mkdir -p /run/pcp
chown pcp:pcp /run/pcp
chmod 775 /run/pcp
mount -t tmpfs -o size=12g none /var/tmp
chmod 1777 /var/tmp

# The agents that the suite wants; its own installation of them needs a compiler
conf=/etc/pcp/pmcd/pmcd.conf
agents="sample 29 pipe binary $vars/pmdas/sample/pmdasample -d 29
sampledso 30 dso sample_init $vars/pmdas/sample/pmda_sample.so
simple 253 pipe binary python3 $vars/pmdas/simple/pmdasimple.python"
awk -v agents="$agents" '/^\[access\]/ { print agents } { print }' $conf >/tmp/pmcd.conf
cat /tmp/pmcd.conf >$conf
sed 's/@ SAMPLE\./@ 29./' $vars/pmdas/sample/help >/tmp/help
(cd $vars/pmdas/sample && newhelp -n root -o help /tmp/help)
sed 's/SAMPLE/29/' $vars/pmdas/sample/pmns >/tmp/sample.pmns
sed -e 's/SAMPLE/30/' -e 's/sample/sampledso/g' $vars/pmdas/sample/pmns >/tmp/sampledso.pmns
sed 's/SIMPLE/253/' $vars/pmdas/simple/pmns >/tmp/simple.pmns
for agent in sample sampledso simple; do pmnsadd -n $vars/pmns/root /tmp/$agent.pmns; done

# check's own attempts to install agents and loggers again after a failure
sed -i 's/^OPTION_\([A-Z_]*\)=true/OPTION_\1=false/' $suite/common.setup
cd $suite || exit 1
[ ! -s /tmp/qa/made.tar ] || tar -xf /tmp/qa/made.tar
chown -R pcpqa:pcpqa .
/etc/init.d/pmcd start
sleep 1
pminfo -f sample.long.one sampledso.long.one simple.numfetch

case $action in
  make)
    as_tester './mk.localconfig; make -C src -k -i; make -C tmparch -k setup'
    tar -cf /tmp/qa/made.tar src tmparch localconfig
    ;;
  check)
    /etc/init.d/pmlogger start
    sleep 2
    [ ! -x /tmp/ours ] || cat /tmp/ours >/usr/bin/pmlogextract
    as_tester "./check -q -l $list" >/tmp/qa/check.log 2>&1
    cp ./*.out.bad ./*.full /tmp/qa/ 2>/dev/null
    ;;
esac
