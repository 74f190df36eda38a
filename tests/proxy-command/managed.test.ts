// Goal: with -F the proxy is a good service of systemd: it takes the sockets handed over, says when it
// is ready, reloading and stopping, answers the watchdog, and writes the pid file.

import { expect } from "bun:test";
import { testWith } from "../helpers/peers.ts";
import { must } from "../helpers/process.ts";
import { makeStage, program } from "./stage.ts";

// Plays the service manager: opens a TCP and a unix socket, starts the program given with them, asks
// for /-/healthy over each, then SIGHUP and SIGTERM. Prints what it saw, a line each.
const MANAGER = `
import os, signal, socket, sys
folder = sys.argv[1]
bell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
bell.bind(folder + "/notify")
bell.settimeout(120)
tcp = socket.socket()
tcp.bind(("127.0.0.1", 0))
tcp.listen(8)
unix = socket.socket(socket.AF_UNIX)
unix.bind(folder + "/handed.socket")
unix.listen(8)
pid = os.fork()
if pid == 0:
    one, two = os.dup(tcp.fileno()), os.dup(unix.fileno())
    high = [os.dup2(fd, 50 + at, True) for at, fd in enumerate((one, two))]
    os.dup2(high[0], 3, True)
    os.dup2(high[1], 4, True)
    os.environ.update(NOTIFY_SOCKET=folder + "/notify", LISTEN_PID=str(os.getpid()), LISTEN_FDS="2")
    os.environ.update(WATCHDOG_USEC="400000", WATCHDOG_PID=str(os.getpid()))
    os.execvp(sys.argv[2], sys.argv[2:])
def hear(start):
    while True:
        text = bell.recv(4096).decode()
        if text.startswith(start):
            return text.replace("\\n", " ").replace(str(pid), "PID")
def ask(family, address):
    s = socket.socket(family)
    s.connect(address)
    s.sendall(b"GET /-/healthy HTTP/1.0\\r\\n\\r\\n")
    return s.recv(4096).split(b"\\r\\n")[0].decode()
print(hear("READY"))
print(open(folder + "/run/pmproxy.pid").read() == str(pid))
print(ask(socket.AF_INET, tcp.getsockname()), ask(socket.AF_UNIX, folder + "/handed.socket"))
print(hear("WATCHDOG"))
os.kill(pid, signal.SIGHUP)
print(hear("RELOADING").split("=")[0])
print(hear("READY"))
os.kill(pid, signal.SIGTERM)
print(hear("STOPPING"))
print(os.waitpid(pid, 0)[1])
`;

testWith("pcp6-python", "a service manager's view of -F", async () => {
  const stage = await makeStage();
  const argv = ["/usr/bin/python3", "-c", MANAGER, stage.folder, ...program];
  const seen = await must([...argv, "-F", "-A", "-l", stage.path("managed.log")], {
    cwd: stage.path("work"),
    env: stage.env,
  });
  expect(seen.split("\n")).toEqual([
    "READY=1 MAINPID=PID",
    "True",
    "HTTP/1.1 200 OK HTTP/1.1 200 OK",
    "WATCHDOG=1",
    "RELOADING",
    "READY=1 MAINPID=PID",
    "STOPPING=1",
    "0",
    "",
  ]);
  const log = stage.read("managed.log");
  // The sockets handed over are the only ones.
  expect(log.match(/^ {2}(ok|err).*$/gm)?.map((row) => row.split(/ +/).slice(1, 3))).toEqual([
    ["ok", "3"],
    ["ok", "4"],
  ]);
});
