// OpenMLS, as Wire's core-crypto has it compiled to WebAssembly, behind the line protocol of README.md.
//
// core-crypto sends its commits itself and goes on once its transport has answered: `commit` answers with what the
// transport was given, and `merge` or `discard` is the Delivery Service's answer to it.

import { b64, bytes, Cannot, same, serve } from "./lines.mjs";
import { load } from "./wasm.mjs";

const cc = await load();
const clients = new Map();

const NO_PROPOSALS = "core-crypto has no call that makes a proposal (propose_add_member and propose_remove_member are private in 10.3)";
const NO_SUCCESSOR = "core-crypto has no ReInit and no branches, and a Welcome to one finds its PSK in no group";
const ONE_EPOCH = "core-crypto keeps one resumption PSK, that of the present epoch";
const NO_PSK = "core-crypto has no call for pre-shared keys";

// What OpenMLS says of any PSK that it does not have.
const missingPsk = (reason) => (error) => {
  throw error?.inner?.mlsError?.inner?.msg === "The PSK could not be found in the key store." ? new Cannot(reason) : error;
};

const idOf = (request) => new cc.ConversationId(bytes(request.group));
const clientOf = (request) => clients.get(request.client);

// A KeyPackage, and a GroupInfo to join with, travel here without the header of an MLSMessage.
const HEAD = Buffer.from([0, 1, 0, 5]);
const wrapped = (keyPackage) => Buffer.concat([HEAD, keyPackage.serialize()]);

function unwrapped(data) {
  if (!same(data.slice(0, 4), HEAD)) throw new Error("not a KeyPackage");
  return new cc.KeyPackage(data.slice(4));
}

// The group id in a GroupInfo: after the headers of MLSMessage and GroupContext, a short vector.
const idOfInfo = (data) => new cc.ConversationId(data.slice(9, 9 + data[8]));

// The one transport of a client: what it is given goes to whoever waits for it, and it answers when it was decided.
class Transport {
  waiting = undefined;
  decide = undefined;

  sendCommitBundle = (bundle) =>
    new Promise((accept, reject) => {
      this.decide = { accept, reject: () => reject(cc.MlsTransportError.MessageRejected.new({ reason: "another commit came first" })) };
      this.waiting(bundle);
    });

  prepareForTransport = async () => {
    throw new Error("no history here");
  };
}

// Begins a step that ends with a commit, and gives what the transport got.
async function begin(client, step) {
  const bundle = new Promise((resolve) => (client.transport.waiting = resolve));
  client.running = client.core.transaction(step).then((value) => ({ value }), (error) => ({ error }));
  const first = await Promise.race([bundle, client.running]);
  if (first.error !== undefined) throw first.error;
  if (first.commit === undefined) throw new Error("no commit was made");
  client.groupInfos.set("pending", first.groupInfo.payload);
  return first;
}

async function end(client, accepted) {
  if (accepted) client.transport.decide.accept();
  else client.transport.decide.reject();
  const { error } = await client.running;
  if (accepted && error !== undefined) throw error;
}

await serve({
  hello: () => ({ name: `core-crypto ${cc.version()} (OpenMLS)`, suites: [1, 2, 3, 5, 7] }),

  async client({ client, suite, identity }) {
    const [, user, device, domain] = /^([^:]+):([0-9a-f]+)@(.+)$/.exec(Buffer.from(bytes(identity)).toString());
    const id = new cc.ClientId(new cc.Uuid(user), new cc.DeviceId(BigInt(`0x${device}`)), domain);
    if (!same(id.copyBytes(), bytes(identity))) throw new Error("an identity of another form");
    const core = cc.CoreCrypto.new(await cc.Database.inMemory());
    const transport = new Transport();
    await core.transaction((context) => context.mlsInit(id, transport));
    const credential = await core.transaction((context) => context.addCredential(cc.Credential.basic(suite, id)));
    clients.set(client, { core, transport, credential, groupInfos: new Map(), members: new Map() });
    return {};
  },

  async key_package(request) {
    const client = clientOf(request);
    const lifetime = 27 * 86_400;
    return { key_package: b64(wrapped(await client.core.transaction((context) => context.generateKeyPackage(client.credential, lifetime)))) };
  },

  psk() {
    throw new Cannot(NO_PSK);
  },

  async create(request) {
    const client = clientOf(request);
    await client.core.transaction((context) => context.createConversation(idOf(request), client.credential));
    return { group: request.group };
  },

  async join(request) {
    const client = clientOf(request);
    const welcome = new cc.Welcome(bytes(request.welcome));
    const id = await client.core.transaction((context) => context.processWelcomeMessage(welcome)).catch(missingPsk(NO_SUCCESSOR));
    return { group: b64(id.copyBytes()) };
  },

  async commit(request) {
    const client = clientOf(request);
    const id = idOf(request);
    const { add = [], remove = [], psks = [] } = request;
    if (request.sealed) throw new Cannot("core-crypto's handshakes are PublicMessages, by its configuration");
    if (request.reinit !== undefined) throw new Cannot(NO_SUCCESSOR);
    if (psks.length > 0 || request.epoch !== undefined) throw new Cannot(NO_PSK);
    if (request.required !== undefined) throw new Cannot("core-crypto has no call that changes the group's extensions");
    if (add.length > 0 && remove.length > 0) throw new Cannot("core-crypto has no call that adds and removes in one commit");
    const bundle = await begin(client, async (context) => {
      if (add.length > 0) return context.addClientsToConversation(id, add.map((data) => unwrapped(bytes(data))));
      if (remove.length > 0) {
        const wanted = remove.map(bytes);
        const found = (await context.getClientIds(id)).filter((one) => wanted.some((other) => same(one.copyBytes(), other)));
        return context.removeClientsFromConversation(id, found);
      }
      return request.pending ? context.commitPendingProposals(id) : context.updateKeyingMaterial(id);
    });
    return { commit: b64(bundle.commit), welcome: bundle.welcome === undefined ? null : b64(bundle.welcome.serialize()) };
  },

  async merge(request) {
    const client = clientOf(request);
    await end(client, true);
    client.groupInfos.set(request.group, client.groupInfos.get("pending"));
    return {};
  },

  async discard(request) {
    await end(clientOf(request), false);
    return {};
  },

  found() {
    throw new Cannot(NO_SUCCESSOR);
  },

  propose() {
    throw new Cannot(NO_PROPOSALS);
  },

  async protect(request) {
    const content = bytes(request.content);
    return { message: b64(await clientOf(request).core.transaction((context) => context.encryptMessage(idOf(request), content))) };
  },

  async process(request) {
    const client = clientOf(request);
    const read = (context) => context.decryptMessage(idOf(request), bytes(request.message));
    const got = await client.core.transaction(read).catch(missingPsk(ONE_EPOCH));
    if (cc.DecryptedMessage.Text.instanceOf(got)) return { kind: "application", content: b64(got.inner.plaintext) };
    if (cc.DecryptedMessage.Proposal.instanceOf(got)) return { kind: "proposal" };
    client.groupInfos.delete(request.group);
    return { kind: "commit", removed: !got.inner.isActive };
  },

  group_info(request) {
    const info = clientOf(request).groupInfos.get(request.group);
    if (info === undefined) throw new Cannot("core-crypto gives a GroupInfo with its own commits only");
    return { group_info: b64(info) };
  },

  async external_commit(request) {
    const client = clientOf(request);
    const info = new cc.GroupInfo(bytes(request.group_info).slice(4));
    const id = idOfInfo(bytes(request.group_info));
    if (request.resync) await client.core.transaction((context) => context.wipeConversation(id));
    const bundle = await begin(client, (context) => context.joinByExternalCommit(info, client.credential));
    return { commit: b64(bundle.commit), group: b64(id.copyBytes()) };
  },

  external_add() {
    throw new Cannot(NO_PROPOSALS);
  },

  async state(request) {
    const { core } = clientOf(request);
    const id = idOf(request);
    if (request.label !== "exporter") throw new Cannot("core-crypto exports under the label «exporter» only");
    return {
      epoch: Number(await core.transaction((context) => context.conversationEpoch(id))),
      members: (await core.getClientIds(id)).map((one) => b64(one.copyBytes())),
      authenticator: null, // core-crypto does not show it
      exported: b64((await core.exportSecretKey(id, 32)).copyBytes()),
    };
  },
});
