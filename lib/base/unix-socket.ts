// Unix sockets as files: whether the one at a path is in use or was left behind by a program that died.

/** Whether somebody answers on a unix socket. */
export async function isAnswered(path: string): Promise<boolean> {
  const handlers = { data() {}, error() {}, connectError() {} };
  return Bun.connect({ unix: path, socket: handlers }).then(
    (socket) => {
      socket.end();
      return true;
    },
    () => false,
  );
}
