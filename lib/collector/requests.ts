// The requests of a client of a collector, each with its reply (spec pdu.md 3, 10): PDU in, PDU out.
// Knows neither sockets nor sessions. Refuses, with an ERROR, what is malformed, what has no profile,
// too many metrics at once, and what access rules deny.
import { asPcpError, PcpError, PM_ERR, realTime } from "../base/mod.ts";
import {
  type Desc,
  type Indom,
  NO_DESC,
  PM_ID_NULL,
  PM_IN_NULL,
  PM_LABEL,
  type Pmid,
  pmidDomain,
  indomDomain,
  ResultWriter,
} from "../pcp/mod.ts";
import {
  decodePdu,
  encodePdu,
  encodeWritten,
  FROM_ANON,
  type InstanceProfile,
  type InstanceReqPdu,
  type LabelReqPdu,
  type Pdu,
  profileFrom,
  STATE_CHANGE,
  TEXT_TYPE,
  type TextReqPdu,
} from "../pdu/mod.ts";
import type { AgentLabelSet, Awaitable } from "../pmda/mod.ts";
import { OPERATION } from "./access.ts";
import { whenThere } from "./turns.ts";
import type { Router, RouterClient } from "./types.ts";

/** Profiles that one client may have, and metrics of one fetch, as current pmcd has them. */
const MAX_PROFILES = 64;
const MAX_FETCH = 32768;
const EAGAIN = 11;

/** Who asks. */
export interface RequestClient {
  readonly router: Router;
  readonly routed: RouterClient;
  /** OPERATION bits that it may not use. */
  readonly denied: () => number;
  readonly contextLabels: () => AgentLabelSet;
}

/** Bytes to be sent; undefined for requests without reply. */
export type Reply = Uint8Array | undefined;

/** An ERROR PDU. */
export const errorPdu = (code: number): Uint8Array =>
  encodePdu({ kind: "error", from: FROM_ANON, code });

const failed = (error: unknown): Uint8Array => {
  const { code } = asPcpError(error);
  return errorPdu(code < 0 ? code : PM_ERR.GENERIC);
};

/** Answers the requests of one client, one at a time. */
export function createRequests(client: RequestClient): (pdu: Uint8Array) => Awaitable<Reply> {
  const { router, routed } = client;
  const profiles = new Map<number, InstanceProfile>();
  const writer = new ResultWriter();
  /** For labels of clients that never sent a profile. */
  const everything = profileFrom({ state: 0, rules: [] });

  const fetch = (context: number, pmids: readonly Pmid[], highres: boolean): Awaitable<Reply> => {
    const profile = profiles.get(context);
    if (profile === undefined) throw new PcpError(PM_ERR.NOPROFILE);
    if (pmids.length === 0) throw new PcpError(PM_ERR.IPC);
    if (pmids.length > MAX_FETCH) throw new PcpError(PM_ERR.TOOBIG);
    writer.reset();
    return whenThere(routed.fetch(pmids, profile, writer), () => {
      if (writer.count !== pmids.length) throw new PcpError(PM_ERR.IPC);
      const { changes } = writer;
      const result = encodeWritten(FROM_ANON, writer, realTime(), highres);
      return changes === 0
        ? result
        : new Uint8Array(Buffer.concat([errorPdu(changes & ALL_CHANGES), result]));
    });
  };

  /** Unknown domains are unknown metrics; agents that have gone are something else. */
  const checkDomain = (domain: number, code: number): void => {
    if (!router.knows(domain)) throw new PcpError(code);
  };

  const desc = (pmid: Pmid): Awaitable<Desc> => {
    checkDomain(pmidDomain(pmid), PM_ERR.PMID);
    return routed.desc(pmid);
  };

  const descs = async (pmids: readonly Pmid[]): Promise<Reply> => {
    const found: Desc[] = [];
    for (const pmid of pmids) {
      try {
        found.push(await desc(pmid));
      } catch (error) {
        if (pmids.length === 1) throw error;
        found.push(NO_DESC);
      }
    }
    return encodePdu({ kind: "descs", from: FROM_ANON, descs: found });
  };

  const instance = ({ indom, instance: number, name }: InstanceReqPdu): Awaitable<Reply> => {
    checkDomain(indomDomain(indom), PM_ERR.INDOM);
    const reply = (instances: readonly { instance: typeof number; name: string }[]): Reply =>
      encodePdu({ kind: "instance", from: FROM_ANON, indom, instances });
    if (number !== PM_IN_NULL)
      return whenThere(routed.instanceName(indom, number), (found) =>
        reply([{ instance: PM_IN_NULL, name: found }]),
      );
    if (name !== "")
      return whenThere(routed.instanceId(indom, name), (found) =>
        reply([{ instance: found, name: "" }]),
      );
    return whenThere(routed.instances(indom), ({ ids, names }) =>
      reply(ids.map((id, at) => ({ instance: id, name: names[at] ?? "" }))),
    );
  };

  const text = ({ ident, type }: TextReqPdu): Awaitable<Reply> => {
    const metric = (type & TEXT_TYPE.PMID) !== 0;
    const oneline = (type & TEXT_TYPE.ONELINE) !== 0;
    const both = TEXT_TYPE.PMID | TEXT_TYPE.INDOM;
    const levels = TEXT_TYPE.ONELINE | TEXT_TYPE.HELP;
    if ((type & both) === 0 || (type & both) === both || (type & levels) === 0)
      throw new PcpError(PM_ERR.IPC);
    checkDomain(metric ? pmidDomain(ident as Pmid) : indomDomain(ident as Indom), PM_ERR.PMID);
    return whenThere(
      routed.text(
        metric ? "metric" : "instance domain",
        ident as Pmid | Indom,
        oneline ? "oneline" : "help",
      ),
      (found) => encodePdu({ kind: "text", from: FROM_ANON, ident, text: found }),
    );
  };

  const labels = ({ ident, type }: LabelReqPdu): Awaitable<Reply> => {
    const level = type & ~(PM_LABEL.COMPOUND | PM_LABEL.OPTIONAL);
    const reply = (sets: readonly AgentLabelSet[]): Reply =>
      encodePdu({ kind: "label", from: FROM_ANON, ident, type, sets });
    if (level === PM_LABEL.CONTEXT) return reply([client.contextLabels()]);
    const profile = profiles.values().next().value ?? everything;
    return whenThere(routed.labels(level, ident, profile), reply);
  };

  const lookup = async (names: readonly string[]): Promise<Reply> => {
    if (names.length === 0) throw new PcpError(PM_ERR.TOOSMALL);
    const pmids: Pmid[] = [];
    let status = 0;
    for (const name of names) {
      try {
        pmids.push(await routed.lookupName(name));
        status += 1;
      } catch (error) {
        if (names.length === 1) throw error;
        pmids.push(PM_ID_NULL);
      }
    }
    return encodePdu({ kind: "pmns-ids", from: FROM_ANON, status, pmids });
  };

  const names = (found: readonly string[], statuses?: readonly number[]): Reply =>
    encodePdu({
      kind: "pmns-names",
      from: FROM_ANON,
      names: found,
      ...(statuses === undefined ? {} : { statuses }),
    });

  const answer = (pdu: Pdu): Awaitable<Reply> => {
    const operation = pdu.kind === "result" ? OPERATION.STORE : OPERATION.FETCH;
    if ((client.denied() & operation) !== 0 && pdu.kind !== "profile")
      throw new PcpError(PM_ERR.PERMISSION);
    switch (pdu.kind) {
      case "fetch":
        return fetch(pdu.context, pdu.pmids, false);
      case "highres-fetch":
        return fetch(pdu.context, pdu.pmids, true);
      case "profile":
        if (pdu.context < 0 || pdu.context >= MAX_PROFILES) return errorPdu(-EAGAIN);
        profiles.set(pdu.context, profileFrom(pdu));
        return undefined;
      case "desc-req":
        return whenThere(desc(pdu.pmid), (found) =>
          encodePdu({ kind: "desc", from: FROM_ANON, desc: found }),
        );
      case "desc-ids":
        return descs(pdu.pmids);
      case "instance-req":
        return instance(pdu);
      case "text-req":
        return text(pdu);
      case "label-req":
        return labels(pdu);
      case "pmns-names":
        return lookup(pdu.names);
      case "pmns-ids": {
        const [pmid] = pdu.pmids;
        if (pmid === undefined || pdu.pmids.length !== 1) throw new PcpError(PM_ERR.IPC);
        return whenThere(routed.namesOf(pmid), (found) => names(found));
      }
      case "pmns-child":
        return whenThere(routed.children(pdu.name), (found) =>
          names(found.names, pdu.subtype === 1 ? found.statuses : undefined),
        );
      case "pmns-traverse":
        return whenThere(routed.traverse(pdu.name), (found) => names(found));
      case "result":
        return whenThere(routed.store(pdu.result), () => errorPdu(0));
      default:
        throw new PcpError(PM_ERR.IPC);
    }
  };

  return (pdu) => {
    try {
      const reply = answer(decodePdu(pdu));
      return reply instanceof Promise ? reply.catch(failed) : reply;
    } catch (error) {
      return failed(error);
    }
  };
}

const ALL_CHANGES =
  STATE_CHANGE.ADD_AGENT |
  STATE_CHANGE.RESTART_AGENT |
  STATE_CHANGE.DROP_AGENT |
  STATE_CHANGE.LABEL_CHANGE |
  STATE_CHANGE.NAMES_CHANGE |
  STATE_CHANGE.HOSTNAME_CHANGE;
