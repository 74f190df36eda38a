#!/usr/bin/env bash
# Inside the copy-on-write view that run.sh makes of a machine: brings its PCP test suite into a state in
# which tests run, then either makes the suite's own programs and archives (`make`, kept as
# /tmp/qa/made.tar) or runs the tests of a part (`extract "TEST..."`, `agents`, `proxy`, `series`), with our executable
# where /tmp/ours is there. Run by bash as root with nothing to lose.
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
sed -e 's/@ SAMPLE\./@ 30./' -e 's/sample/sampledso/' $vars/pmdas/sample/help >/tmp/dsohelp
(cd $vars/pmdas/sample && newhelp -n root -o dsohelp /tmp/dsohelp)
sed 's/SAMPLE/29/' $vars/pmdas/sample/pmns >/tmp/sample.pmns
sed -e 's/SAMPLE/30/' -e 's/sample/sampledso/g' $vars/pmdas/sample/pmns >/tmp/sampledso.pmns
sed 's/SIMPLE/253/' $vars/pmdas/simple/pmns >/tmp/simple.pmns
for agent in sample sampledso simple; do pmnsadd -n $vars/pmns/root /tmp/$agent.pmns; done

# check's own attempts to install agents and loggers again after a failure
sed -i 's/^OPTION_\([A-Z_]*\)=true/OPTION_\1=false/' $suite/common.setup

# Ours in place of the agents, with the help texts of PCP, and of dbpmda. The Makefiles of agents do nothing
# from then on, after they have made the shared objects that dbpmda opens. valgrind has no say about us, and
# finds nothing.
our_agents() {
  local bin=/usr/lib/pcp/bin/pcpbox links=/usr/lib/pcp/ours real=/usr/lib/pcp/real name folder
  mkdir $links $real
  cp /tmp/ours $bin
  for name in simple trivial txmon sample linux; do
    folder=/usr/lib/pcp/pmdas/$name
    if [ -e $folder/Makefile ]; then
      make -C $vars/pmdas/$name
      printf 'install pmda%s clean clobber default:\n' $name >$folder/Makefile
    fi
    ln -s $bin $links/pmda$name
    rm -f $folder/pmda$name
    cat >$folder/pmda$name <<END
#!/bin/sh
if [ -f $vars/pmdas/$name/help.dir ]; then set -- -h $vars/pmdas/$name/help "\$@"; fi
exec $links/pmda$name "\$@"
END
    chmod 755 $folder/pmda$name
    [ -e $vars/pmdas/$name/pmda$name ] || ln -s $folder/pmda$name $vars/pmdas/$name/pmda$name
  done
  ln -sf $bin /usr/bin/dbpmda
  sed -i -e "s;^simple.*;simple 253 pipe binary $vars/pmdas/simple/pmdasimple -d 253;" \
    -e "s;^mmv.*;mmv 70 pipe binary $bin pmda-run mmv -d 70;" $conf
  for name in pminfo pmprobe pmval; do
    mv /usr/bin/$name $real/$name
    cp /tmp/local-context.sh /usr/bin/$name
  done
  for name in pmcpp newhelp pmnsdel pmnsmerge; do
    mv /usr/lib/pcp/bin/$name $real/$name
    cat >/usr/lib/pcp/bin/$name <<END
#!/bin/sh
BUN_BE_BUN=1 exec $bin /tmp/programs.js $name "\$@"
END
    chmod 755 /usr/lib/pcp/bin/$name
  done
  cp /tmp/valgrind.sh /usr/bin/valgrind
}
if [ "$action" = agents ] && [ -x /tmp/ours ]; then our_agents; fi

# Ours in place of pmproxy, and our library behind the command line of pmseries
our_series() {
  local bin=/usr/lib/pcp/bin real=/usr/lib/pcp/real
  mkdir $real
  mv $bin/pmproxy $real/
  mv /usr/bin/pmseries $real/
  cp /tmp/ours $bin/pmproxy
  cp /tmp/valgrind.sh /usr/bin/valgrind
  # What it records of this machine would be among what these tests find
  export PCP_RECORD_ENABLED=false
  cat >/usr/bin/pmseries <<END
#!/bin/sh
BUN_BE_BUN=1 exec $bin/pmproxy /tmp/programs.js pmseries "\$@"
END
  chmod 755 /usr/bin/pmseries
}
case $action in series | proxy) [ ! -x /tmp/ours ] || our_series ;; esac
# Some tests want a key server at the usual port
if [ "$action" = series ] || [ "$action" = proxy ]; then
  for name in redis-server valkey-server; do
    if [ -x /usr/bin/$name ]; then /usr/bin/$name --save "" --dir /tmp --daemonize yes && break; fi
  done
fi

cd $suite || exit 1
[ ! -s /tmp/qa/made.tar ] || tar -xf /tmp/qa/made.tar
chown -R pcpqa:pcpqa .
/etc/init.d/pmcd start
sleep 1
if [ "$action" = proxy ]; then /etc/init.d/pmproxy start; fi
pminfo -f sample.long.one sampledso.long.one simple.numfetch

case $action in
  make)
    as_tester './mk.localconfig; make -C src -k -i; make -C tmparch -k setup'
    tar -cf /tmp/qa/made.tar src tmparch localconfig
    ;;
  extract | agents | proxy | series)
    if [ "$action" != series ]; then /etc/init.d/pmlogger start; fi
    sleep 2
    if [ "$action" = extract ] && [ -x /tmp/ours ]; then
      cat /tmp/ours >/usr/bin/pmlogextract
      cp /tmp/valgrind.sh /usr/bin/valgrind
    fi
    as_tester "./check -q -l $list" >/tmp/qa/check.log 2>&1
    cp ./*.out.bad ./*.full /tmp/qa/ 2>/dev/null
    ;;
esac
