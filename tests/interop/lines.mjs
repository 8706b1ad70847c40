// The loop of the interop drivers: one JSON request per line in, one JSON answer per line out (README.md).

import { createInterface } from "node:readline";

// Something the peer has no way to do; the text says why.
export class Cannot extends Error {}

export const bytes = (text) => new Uint8Array(Buffer.from(text, "base64"));
export const b64 = (data) => (data === undefined || data === null ? null : Buffer.from(data).toString("base64"));
export const same = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)) === 0;

// Answers requests with the functions of `peer`, in order, until the input ends.
export async function serve(peer) {
  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line);
    let answer;
    try {
      const found = Object.hasOwn(peer, request.op) ? peer[request.op] : undefined;
      if (found === undefined) throw new Cannot(`no such request here: ${request.op}`);
      answer = await found(request);
    } catch (error) {
      answer = error instanceof Cannot ? { cannot: error.message } : { error: describe(error) };
    }
    process.stdout.write(JSON.stringify({ id: request.id, ...answer }) + "\n");
  }
  process.exit(0);
}

function describe(error) {
  const inner = error?.inner === undefined ? "" : ` ${JSON.stringify(error.inner, plain)}`;
  return `${error?.name ?? "Error"}: ${error?.message ?? error}${inner}`;
}

function plain(key, value) {
  if (typeof value === "bigint") return value.toString();
  return value;
}
