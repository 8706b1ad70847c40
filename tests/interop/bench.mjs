// The other implementations' side of the benchmark: one JSON line of medians in milliseconds, and bytes.
//
//   node tests/interop/bench.mjs --peer ts-mls --n 1000 --suite 1 [--rounds 5]
//
// worst: the first path after all were added in one commit, one seal a member. steady: once a member in each copath
// subtree of the committer has committed, one seal a level. Nothing here is a network or a disk. core-crypto's groups are
// no values: what can't be done twice from one state is measured once.

import { parseArgs } from "node:util";
import { load } from "./wasm.mjs";

const DAY = 86_400;
const TEXT = new Uint8Array(300).fill(0x61);
const MESSAGES = 50;

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const say = (text) => process.stderr.write(`${text}\n`);

// Times of steps, by row: wall time, and as cpu_<row> what all threads of this process took.
class Times {
  rows = new Map();

  async measure(row, step) {
    const used = process.cpuUsage();
    const began = performance.now();
    const value = await step();
    const took = performance.now() - began;
    const { user, system } = process.cpuUsage(used);
    this.add(row, took);
    this.add(`cpu_${row}`, (user + system) / 1000);
    return value;
  }

  add(row, took) {
    this.rows.set(row, [...(this.rows.get(row) ?? []), took]);
  }

  medians() {
    return Object.fromEntries([...this.rows].map(([row, values]) => [row, Math.round(median(values) * 1000) / 1000]));
  }
}

// One member in each copath subtree of leaf 0, the largest subtree first: leaves 512, 256, ..., 2, 1.
function subtrees(n) {
  const leaves = [];
  for (let leaf = 1; leaf < n; leaf *= 2) leaves.unshift(leaf);
  return leaves;
}

async function tsMls(n, suite, rounds, times) {
  const mls = await import("ts-mls");
  const { signatureKeys, suiteOf, SUITES } = await import("./suites.mjs");
  if (!SUITES.includes(suite)) process.exit(3);
  const cs = await suiteOf(suite);
  const psks = mls.emptyPskIndex;
  const capabilities = { versions: ["mls10"], ciphersuites: [cs.name], extensions: [], proposals: [], credentials: ["basic"] };

  async function client(number) {
    const now = BigInt(Math.floor(Date.now() / 1000));
    const lifetime = { notBefore: now - BigInt(DAY), notAfter: now + BigInt(27 * DAY) };
    const credential = { credentialType: "basic", identity: new TextEncoder().encode(`member ${number}`) };
    return mls.generateKeyPackageWithKey(credential, capabilities, lifetime, [], await signatureKeys(cs), cs);
  }
  async function commit(state, extraProposals = []) {
    const made = await mls.createCommit({ state, pskIndex: psks, cipherSuite: cs }, { wireAsPublicMessage: true, extraProposals, ratchetTreeExtension: true });
    const welcome = made.welcome === undefined ? undefined
      : mls.encodeMlsMessage({ version: "mls10", wireformat: "mls_welcome", welcome: made.welcome });
    return { state: made.newState, message: mls.encodeMlsMessage(made.commit), welcome };
  }
  async function follow(state, message) {
    const result = await mls.processMessage(mls.decodeMlsMessage(message, 0)[0], state, psks, mls.acceptAll, cs);
    return result.newState;
  }
  const join = ({ publicPackage, privatePackage }, welcome) =>
    mls.joinGroup(mls.decodeMlsMessage(welcome, 0)[0].welcome, publicPackage, privatePackage, psks, cs);
  const add = ({ publicPackage }) => ({ proposalType: "add", add: { keyPackage: publicPackage } });

  say("key packages");
  const clients = [];
  for (let number = 0; number < n; number++) clients.push(await client(number));
  say("create and add");
  const found = () => mls.createGroup(new TextEncoder().encode("group"), clients[0].publicPackage, clients[0].privatePackage, [], cs);
  const all = clients.slice(1).map(add);
  let made;
  for (let round = 0; round < Math.min(rounds, 3); round++) made = await times.measure("create_add", async () => commit(await found(), all));
  let { state } = made;
  const bytes = { bytes_welcome: made.welcome.length, bytes_add_commit: made.message.length };

  say("join, worst");
  let other;
  for (let round = 0; round < Math.min(rounds, 3); round++) other = await times.measure("join", () => join(clients[1], made.welcome));
  for (let round = 0; round < rounds; round++) {
    const worst = await times.measure("update_worst", () => commit(state));
    await times.measure("process_worst", () => follow(other, worst.message));
    bytes.bytes_update_worst = worst.message.length;
  }

  say("steady");
  const members = new Map();
  for (const leaf of subtrees(n)) members.set(leaf, leaf === 1 ? other : await join(clients[leaf], made.welcome));
  for (const [leaf, member] of members) {
    const update = await commit(member);
    state = await follow(state, update.message);
    members.delete(leaf);
    for (const [later, value] of members) members.set(later, await follow(value, update.message));
    other = update.state; // leaf 1 is the last
  }
  for (let round = 0; round < rounds; round++) {
    const steady = await times.measure("update_steady", () => commit(state));
    await times.measure("process_steady", () => follow(other, steady.message));
    bytes.bytes_update_steady = steady.message.length;
  }

  say("add, remove, messages");
  const newcomer = await client(n);
  const remove = { proposalType: "remove", remove: { removed: n - 1 } };
  for (let round = 0; round < rounds; round++) {
    const one = await times.measure("add_one", () => commit(state, [add(newcomer)]));
    await times.measure("process_add", () => follow(other, one.message));
    const gone = await times.measure("remove_one", () => commit(state, [remove]));
    await times.measure("process_remove", () => follow(other, gone.message));
    Object.assign(bytes, { bytes_add_one: one.message.length, bytes_welcome_one: one.welcome.length, bytes_remove_one: gone.message.length });
  }
  for (let round = 0; round < MESSAGES; round++) {
    const sealed = await times.measure("encrypt", async () => {
      const { newState, privateMessage } = await mls.createApplicationMessage(state, TEXT, cs);
      return { newState, message: mls.encodeMlsMessage({ version: "mls10", wireformat: "mls_private_message", privateMessage }) };
    });
    state = sealed.newState;
    bytes.bytes_message = sealed.message.length;
    other = await times.measure("decrypt", () => follow(other, sealed.message));
  }
  for (let round = 0; round < rounds; round++) {
    const data = await times.measure("serialise", async () => mls.encodeGroupState(state));
    bytes.bytes_state = data.length;
  }
  const { version } = JSON.parse(await (await import("node:fs/promises")).readFile(new URL("./node_modules/ts-mls/package.json", import.meta.url)));
  return { peer: `ts-mls ${version}`, ...bytes };
}

// KeyPackages of members who only have to be there; a thousand core-crypto clients would take their minutes.
async function strangers(suite, n) {
  const mls = await import("ts-mls");
  const { signatureKeys, suiteOf } = await import("./suites.mjs");
  const cs = await suiteOf(suite);
  const capabilities = { versions: ["mls10"], ciphersuites: [cs.name], extensions: [], proposals: [], credentials: ["basic", "x509"] };
  const now = BigInt(Math.floor(Date.now() / 1000));
  const lifetime = { notBefore: now - BigInt(DAY), notAfter: now + BigInt(27 * DAY) };
  const made = [];
  for (let number = 0; number < n; number++) {
    const credential = { credentialType: "basic", identity: new TextEncoder().encode(`${crypto.randomUUID()}:1@example.org`) };
    const { publicPackage: keyPackage } = await mls.generateKeyPackageWithKey(credential, capabilities, lifetime, [], await signatureKeys(cs), cs);
    made.push(mls.encodeMlsMessage({ version: "mls10", wireformat: "mls_key_package", keyPackage }).slice(4));
  }
  return made;
}

async function coreCrypto(n, suite, rounds, times) {
  const cc = await load();
  if (![1, 2, 3, 5, 7].includes(suite)) process.exit(3);
  const group = new cc.ConversationId(new TextEncoder().encode("group"));

  async function client() {
    const id = new cc.ClientId(new cc.Uuid(crypto.randomUUID()), new cc.DeviceId(1n), "example.org");
    const core = cc.CoreCrypto.new(await cc.Database.inMemory());
    const one = { core, id, sent: undefined };
    const transport = { sendCommitBundle: async (bundle) => { one.sent = bundle; }, prepareForTransport: async () => new Uint8Array() };
    await core.transaction((context) => context.mlsInit(id, transport));
    one.credential = await core.transaction((context) => context.addCredential(cc.Credential.basic(suite, id)));
    one.keyPackage = await core.transaction((context) => context.generateKeyPackage(one.credential, 27 * DAY));
    return one;
  }
  async function commit(one, step) {
    await one.core.transaction(step);
    const { commit: message, welcome } = one.sent;
    return { message, welcome: welcome?.serialize() };
  }
  const update = (one) => commit(one, (context) => context.updateKeyingMaterial(group));
  const follow = (one, message) => one.core.transaction((context) => context.decryptMessage(group, message));
  const join = (one, welcome) => one.core.transaction((context) => context.processWelcomeMessage(new cc.Welcome(welcome)));

  say("clients");
  const wanted = subtrees(n);
  const clients = new Map();
  for (const leaf of [0, ...wanted]) clients.set(leaf, await client());
  const [creator, other] = [clients.get(0), clients.get(1)];
  const others = await strangers(suite, n);
  const packages = others.slice(1).map((stranger, place) => clients.get(place + 1)?.keyPackage ?? new cc.KeyPackage(stranger));
  say("create and add");
  const made = await times.measure("create_add", async () => {
    await creator.core.transaction((context) => context.createConversation(group, creator.credential));
    return commit(creator, (context) => context.addClientsToConversation(group, packages));
  });
  const bytes = { bytes_welcome: made.welcome.length, bytes_add_commit: made.message.length };

  say("join, worst");
  for (const leaf of wanted) await times.measure("join", () => join(clients.get(leaf), made.welcome));
  const worst = await times.measure("update_worst", () => update(creator));
  bytes.bytes_update_worst = worst.message.length;
  for (const leaf of wanted) await times.measure("process_worst", () => follow(clients.get(leaf), worst.message));

  say("steady");
  for (const [place, leaf] of wanted.entries()) {
    const { message } = await update(clients.get(leaf));
    await follow(creator, message);
    for (const later of wanted.slice(place + 1)) await follow(clients.get(later), message);
  }
  for (let round = 0; round < rounds; round++) {
    const steady = await times.measure("update_steady", () => update(creator));
    await times.measure("process_steady", () => follow(other, steady.message));
    bytes.bytes_update_steady = steady.message.length;
  }

  say("add, remove, messages");
  for (let round = 0; round < rounds; round++) {
    const newcomer = await client();
    const one = await times.measure("add_one", () => commit(creator, (context) => context.addClientsToConversation(group, [newcomer.keyPackage])));
    await times.measure("process_add", () => follow(other, one.message));
    const gone = await times.measure("remove_one", () => commit(creator, (context) => context.removeClientsFromConversation(group, [newcomer.id])));
    await times.measure("process_remove", () => follow(other, gone.message));
    Object.assign(bytes, { bytes_add_one: one.message.length, bytes_welcome_one: one.welcome.length, bytes_remove_one: gone.message.length });
  }
  for (let round = 0; round < MESSAGES; round++) {
    const message = await times.measure("encrypt", () => creator.core.transaction((context) => context.encryptMessage(group, TEXT)));
    await times.measure("decrypt", () => follow(other, message));
    bytes.bytes_message = message.length;
  }
  return { peer: `core-crypto ${cc.version()} (OpenMLS)`, ...bytes, serialise: null, bytes_state: null };
}

const PEERS = { "ts-mls": tsMls, "core-crypto": coreCrypto };

const { values } = parseArgs({
  options: { peer: { type: "string" }, n: { type: "string" }, suite: { type: "string" }, rounds: { type: "string", default: "5" } },
});
const [n, suite, rounds] = [values.n, values.suite, values.rounds].map(Number);
if (!Object.hasOwn(PEERS, values.peer ?? "") || !(n >= 2) || !(suite > 0) || !(rounds >= 1)) {
  say("usage: node bench.mjs --peer ts-mls|core-crypto --n 1000 --suite 1 [--rounds 5]");
  process.exit(2);
}
say("warming up");
await PEERS[values.peer](4, suite, 2, new Times());
const times = new Times();
const rest = await PEERS[values.peer](n, suite, rounds, times);
process.stdout.write(JSON.stringify({ n, suite, rounds, ...times.medians(), ...rest }) + "\n", () => process.exit(0));
