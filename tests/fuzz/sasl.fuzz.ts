// Fuzzes the client side of SASL with what a server may say: right messages with bytes changed. The
// promise: an answer or an error of the SASL series, in the number of messages that the mechanism
// has, and never an end that takes a server's word without its signature.
import { PM_ERR, PcpError, utf8, utf8Text } from "../../lib/base/mod.ts";
import { SASL_MECHANISMS, startSasl } from "../../lib/pdu/sasl.ts";
import { hex } from "../helpers/vector.ts";
import { FuzzFinding, type Fuzzer, mutate, type Random, seeded } from "./random.ts";

const NONCE = "fyko+d2lbbFgONRv9qkxdawL";
/** More messages than any mechanism has. */
const MESSAGES = 4;
// Few rounds, so that hashing does not take the time; the signatures are of other keys.
const MESSAGES_OF_SERVERS = [
  `r=${NONCE}3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=2`,
  `r=${NONCE}x,s=QQ==,i=1`,
  "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
  "e=other-error",
  "<1896.697170952@postoffice.example.net>",
  "",
].map(utf8);

async function converse(mechanism: string, random: Random, sent: string[]): Promise<void> {
  const exchange = startSasl(mechanism, { user: "jim", password: "secret" }, NONCE);
  while (!exchange.finished) {
    if (sent.length > MESSAGES) throw new Error(`${MESSAGES} messages and no end`);
    const plain = random.pick(MESSAGES_OF_SERVERS);
    const message = random.below(3) === 0 ? plain : mutate(plain, random, [utf8("x=1,i=9,m=,")]);
    // A large count of rounds is a matter of time, not of form; sasl.ts bounds it.
    if (/i=\d{4}/.test(utf8Text(message))) continue;
    sent.push(hex(message));
    await exchange.answer(message);
  }
  if (mechanism.startsWith("SCRAM")) throw new Error("a wrong signature was taken");
}

/** Fuzzes startSasl and its exchanges. */
export const fuzzSasl: Fuzzer = async (seed, iterations) => {
  const random = seeded(seed);
  for (let iteration = 0; iteration < iterations; iteration++) {
    const mechanism = random.pick(SASL_MECHANISMS);
    const sent: string[] = [mechanism];
    try {
      await converse(mechanism, random, sent);
    } catch (error) {
      if (error instanceof PcpError && error.code < PM_ERR.NYI) continue;
      throw new FuzzFinding("sasl", seed, iteration, sent.join(" "), String(error), {
        cause: error,
      });
    }
  }
};
