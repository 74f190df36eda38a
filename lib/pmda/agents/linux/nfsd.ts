// /proc/fs/nfsd/clients: the clients of an NFS 4 server and the files that they have open. Root alone
// may read it.
import type { FetchValue } from "../../define.ts";
import { type Collected, keptIndom } from "./collector.ts";
import type { Host } from "./host.ts";
import { linesOf } from "./scan.ts";
import { rowsFrom } from "./table.ts";

/** Values of `NAME: VALUE` lines without quotes, by their names in lower case. */
export function parseClient(bytes: Uint8Array): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const line of linesOf(bytes)) {
    const found = /^([\w -]+): "?(.*?)"?$/.exec(line);
    if (found?.[1] !== undefined) values.set(found[1].toLowerCase(), found[2] ?? "");
  }
  return values;
}

/** One state that a client holds. */
export interface OpenFile {
  readonly type: string;
  readonly access: string;
  readonly inode: number;
  readonly filename: string;
}

/** Lines without an inode are left out. */
export function parseStates(bytes: Uint8Array): OpenFile[] {
  return linesOf(bytes).flatMap((line) => {
    const inode = /superblock: "[\da-f]+:[\da-f]+:(\d+)"/i.exec(line)?.[1];
    if (inode === undefined) return [];
    return [
      {
        type: /type: (\w+)/.exec(line)?.[1] ?? "",
        access: /access: ([\w-]+)/.exec(line)?.[1] ?? "",
        inode: Number(inode),
        filename: /filename: "(.*?)"(?:,| \}|$)/.exec(line)?.[1] ?? "",
      },
    ];
  });
}

type Client = ReadonlyMap<string, string>;

/** A file that a client has open. */
interface Opened {
  readonly file: OpenFile;
  readonly client: Client;
}

const FOLDER = "/proc/fs/nfsd/clients";
const CLIENTS_INDOM = 45;
const OPEN_INDOM = 46;

const idOf = (client: Client): string => client.get("clientid") ?? "";
/** The client's name is the last word of what it calls itself. */
const hostOf = (client: Client): string => client.get("name")?.split(" ").at(-1) ?? "";

const CLIENT_VALUES: Readonly<Record<string, (client: Client) => FetchValue>> = {
  client_id: idOf,
  addr: (client) => client.get("address") ?? "",
  status: (client) => client.get("status") ?? "",
  hostname: hostOf,
  callback_state: (client) => client.get("callback state") ?? "",
  callback_addr: (client) => client.get("callback address") ?? "",
  admin_revoked_states: (client) => Number(client.get("admin-revoked states") ?? 0) || 0,
  session_slots: (client) => Number(client.get("session slots") ?? 0) || 0,
  session_target_slots: (client) => Number(client.get("session target slots") ?? 0) || 0,
};

const OPEN_VALUES: Readonly<Record<string, (opened: Opened) => FetchValue>> = {
  inode: ({ file }) => file.inode,
  type: ({ file }) => file.type,
  access: ({ file }) => file.access,
  filename: ({ file }) => file.filename,
  client_id: ({ client }) => idOf(client),
  client_addr: ({ client }) => client.get("address") ?? "",
  client_hostname: ({ client }) => hostOf(client),
};

/** The metrics of clients and their files. */
export function collectNfsd(host: Host): Collected {
  const sample = host.sampled(() =>
    host.list(FOLDER).flatMap((name): { folder: string; client: Client }[] => {
      const folder = `${FOLDER}/${name}`;
      const bytes = host.readOnce(`${folder}/info`);
      const client = bytes === undefined ? undefined : parseClient(bytes);
      return client === undefined || idOf(client) === "" ? [] : [{ folder, client }];
    }),
  );
  const clients = keptIndom<Client>(host, CLIENTS_INDOM);
  const opened = keptIndom<Opened>(host, OPEN_INDOM);
  const head = { type: "string", sem: "discrete", units: "none" } as const;
  return {
    refreshers: new Map([
      [
        CLIENTS_INDOM,
        () =>
          clients.replace(
            sample().map(({ client }): readonly [string, Client] => [idOf(client), client]),
          ),
      ],
      [
        OPEN_INDOM,
        () =>
          opened.replace(
            sample().flatMap(({ folder, client }) => {
              const bytes = host.readOnce(`${folder}/states`);
              return (bytes === undefined ? [] : parseStates(bytes)).map(
                (file): readonly [string, Opened] => [
                  `${file.inode}::${idOf(client)}`,
                  { file, client },
                ],
              );
            }),
          ),
      ],
    ]),
    indoms: [
      { serial: CLIENTS_INDOM, instances: clients.cache, oneline: "clients of the NFS 4 server" },
      {
        serial: OPEN_INDOM,
        instances: opened.cache,
        oneline: "files that clients have open",
        labels: { indom_name: "per inode, per client_id", inode: "client_id" },
        instanceLabels(instance) {
          const found = opened.get(instance);
          return found === undefined
            ? undefined
            : { inode: found.file.inode, client_id: idOf(found.client) };
        },
      },
    ],
    metrics: [
      ...rowsFrom(
        { ...head, cluster: 96, prefix: "nfs4.server.clients.", indom: CLIENTS_INDOM },
        CLIENTS,
        ({ key }) =>
          (instance) => {
            const client = clients.get(instance);
            return client === undefined ? undefined : CLIENT_VALUES[key]?.(client);
          },
      ),
      ...rowsFrom(
        { ...head, cluster: 97, prefix: "nfs4.server.open.", indom: OPEN_INDOM },
        OPEN,
        ({ key }) =>
          (instance) => {
            const found = opened.get(instance);
            return found === undefined ? undefined : OPEN_VALUES[key]?.(found);
          },
      ),
    ],
  };
}

const CLIENTS = `
0 client_id | identifier of the client
1 addr | address of the client
2 status | confirmed, unconfirmed, courtesy
3 hostname | name of the client
4 callback_state | whether the client can be called back
5 callback_addr | address at which the client is called back
6 admin_revoked_states u64 instant | states that an administrator has revoked
7 session_slots u64 instant | slots of all sessions
8 session_target_slots u64 instant | slots that all sessions should have
`;

const OPEN = `
0 inode u64 instant | inode of the file
1 type instant | kind of state: open, lock, deleg, layout
2 access instant | r, w or rw
3 filename instant | name of the file
4 client_id instant | identifier of the client
5 client_addr instant | address of the client
6 client_hostname instant | name of the client
`;
