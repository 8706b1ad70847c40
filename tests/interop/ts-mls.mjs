// ts-mls behind the line protocol of README.md. Each place where ts-mls leaves RFC 9420 and this driver makes up for it
// is marked WORKAROUND, each place where nothing can be made up for answers `cannot`.

import { readFileSync } from "node:fs";
import * as mls from "ts-mls";
import { signGroupInfo } from "ts-mls/groupInfo.js";
import { signLeafNodeCommit as signLeaf } from "ts-mls/leafNode.js";
import { updateLeafKey } from "ts-mls/privateKeyPath.js";
import { b64, bytes, Cannot, same, serve } from "./lines.mjs";
import { signatureKeys, suiteOf, SUITES, wrapped } from "./suites.mjs";

const DAY = 86_400;
const VERSION = JSON.parse(readFileSync(new URL("./node_modules/ts-mls/package.json", import.meta.url))).version;

const NO_EXTENSIONS =
  "ts-mls leaves the path out of a commit of GroupContextExtensions (against section 12.4), and where there is one seals it under the old extensions (against section 12.4.1)";

const ONE_SENDER = "ts-mls reads external_senders as one sender, where section 12.1.8.1 has a vector of them";

const clients = new Map();

const message = (value) => b64(mls.encodeMlsMessage(value));
const framed = (wireformat, name, value) => message({ version: "mls10", wireformat, [name]: value });

function decoded(data, wireformat) {
  const [value, length] = mls.decodeMlsMessage(data, 0) ?? [];
  if (value === undefined || length !== data.length) throw new Error("not an MLSMessage");
  if (wireformat !== undefined && value.wireformat !== wireformat) throw new Error(`not ${wireformat}`);
  return value;
}

const config = () => ({
  keyRetentionConfig: mls.defaultKeyRetentionConfig,
  lifetimeConfig: { ...mls.defaultLifetimeConfig, validateLifetimeOnReceive: true },
  keyPackageEqualityConfig: mls.defaultKeyPackageEqualityConfig,
  paddingConfig: mls.defaultPaddingConfig,
  authService: mls.defaultAuthenticationService,
});

const clientOf = (request) => clients.get(request.client);
const groupOf = (client, request) => client.groups.get(request.group);

function pskIndex(client, group) {
  return mls.makePskIndex(group, Object.fromEntries(client.psks));
}

function leafOf(group, identity) {
  const place = group.ratchetTree.findIndex((node) => node?.nodeType === "leaf" && same(node.leaf.credential.identity, bytes(identity)));
  if (place < 0) throw new Error("no such member");
  return place / 2;
}

const ownLeaf = (group) => group.ratchetTree[2 * group.privatePath.leafIndex].leaf;

function proposalsOf(client, group, request) {
  const adds = (request.add ?? []).map((data) => ({ proposalType: "add", add: { keyPackage: decoded(bytes(data), "mls_key_package").keyPackage } }));
  const removes = (request.remove ?? []).map((identity) => ({ proposalType: "remove", remove: { removed: leafOf(group, identity) } }));
  const psks = (request.psks ?? []).map((id) => ({
    proposalType: "psk",
    psk: { preSharedKeyId: { psktype: "external", pskId: bytes(id), pskNonce: client.cs.rng.randomBytes(client.cs.kdf.size) } },
  }));
  const extensions = request.required === undefined ? [] : [
    { proposalType: "group_context_extensions", groupContextExtensions: { extensions: [{ extensionType: "required_capabilities", extensionData: bytes(request.required) }] } },
  ];
  const reinits = request.reinit === undefined ? [] : [
    { proposalType: "reinit", reinit: { groupId: bytes(request.reinit), version: "mls10", cipherSuite: client.cs.name, extensions: [] } },
  ];
  const resumptions = request.epoch === undefined ? [] : [resumption(client, "application", group.groupContext.groupId, BigInt(request.epoch))];
  return [...adds, ...removes, ...psks, ...resumptions, ...extensions, ...reinits];
}

const resumption = (client, usage, pskGroupId, pskEpoch) => ({
  proposalType: "psk",
  psk: { preSharedKeyId: { psktype: "resumption", usage, pskGroupId, pskEpoch, pskNonce: client.cs.rng.randomBytes(client.cs.kdf.size) } },
});

async function newPackage(client) {
  const now = BigInt(Math.floor(Date.now() / 1000));
  const lifetime = { notBefore: now - BigInt(DAY), notAfter: now + BigInt(27 * DAY) }; // by default it never ends
  const made = await mls.generateKeyPackageWithKey(client.credential, client.capabilities, lifetime, [], client.keys, client.cs);
  client.packages.push(made);
  return made;
}

// The group once a commit is processed. WORKAROUND: an Update's private key is nobody's to keep in ts-mls (no API before
// 2.x): if the commit takes up ours, its key has to be in place before it is processed, else the old one.
async function follow(client, group, value) {
  const process = (state) => mls.processMessage(value, state, pskIndex(client, state), mls.acceptAll, client.cs);
  const key = client.updates.get(b64(group.groupContext.groupId));
  if (key === undefined) return process(group);
  try {
    return await process({ ...group, privatePath: updateLeafKey(group.privatePath, key) });
  } catch {
    return process(group);
  }
}

async function propose(client, group, request) {
  if (!request.update) {
    const [proposal] = proposalsOf(client, group, request);
    return mls.createProposal(group, !request.sealed, proposal, client.cs);
  }
  const { cs } = client;
  const { privateKey, publicKey } = await cs.hpke.generateKeyPair();
  const { lifetime, parentHash, signature, ...old } = ownLeaf(group);
  const place = { groupId: group.groupContext.groupId, leafIndex: group.privatePath.leafIndex };
  const fresh = { ...old, leafNodeSource: "update", hpkePublicKey: await cs.hpke.exportPublicKey(publicKey) };
  const signed = await signLeaf({ ...fresh, ...place }, client.keys.signKey, cs.signature);
  client.updates.set(request.group, await cs.hpke.exportPrivateKey(privateKey));
  return mls.createProposal(group, !request.sealed, { proposalType: "update", update: { leafNode: signed } }, cs);
}

function moved(client, group) {
  const name = b64(group.groupContext.groupId);
  client.groups.set(name, group);
  client.updates.delete(name);
  return { group: name };
}

await serve({
  hello: () => ({ name: `ts-mls ${VERSION}`, suites: SUITES }),

  async client({ client, suite, identity }) {
    const cs = await suiteOf(suite);
    const grease = { ciphersuites: ["6682"], extensions: [0x2a2a], proposals: [0x3a3a], credentials: ["19018"] }; // section 13.5
    const capabilities = { ...grease, versions: ["mls10"], ciphersuites: [cs.name, ...grease.ciphersuites], credentials: ["basic", "x509", ...grease.credentials] };
    const credential = { credentialType: "basic", identity: bytes(identity) };
    const keys = await signatureKeys(cs);
    clients.set(client, { cs, credential, capabilities, keys, packages: [], groups: new Map(), pending: new Map(), psks: new Map(), updates: new Map() });
    return {};
  },

  async key_package(request) {
    const { publicPackage } = await newPackage(clientOf(request));
    return { key_package: framed("mls_key_package", "keyPackage", publicPackage) };
  },

  psk(request) {
    clientOf(request).psks.set(request.psk_id, bytes(request.psk));
    return {};
  },

  async create(request) {
    const client = clientOf(request);
    const made = await newPackage(client);
    return moved(client, await mls.createGroup(bytes(request.group), made.publicPackage, made.privatePackage, [], client.cs, config()));
  },

  async join(request) {
    const client = clientOf(request);
    const { welcome } = decoded(bytes(request.welcome), "mls_welcome");
    for (const made of client.packages) {
      const from = request.from === undefined ? undefined : client.groups.get(request.from);
      try {
        return moved(client, await mls.joinGroup(welcome, made.publicPackage, made.privatePackage, pskIndex(client, from), client.cs, undefined, from, config()));
      } catch (error) {
        if (made === client.packages.at(-1)) throw error;
      }
    }
    throw new Error("no KeyPackage");
  },

  async commit(request) {
    const client = clientOf(request);
    const group = groupOf(client, request);
    if (request.required !== undefined) throw new Cannot(NO_EXTENSIONS);
    if (client.updates.has(request.group)) throw new Cannot("an own Update is among the proposals, and ts-mls commits all it holds");
    const context = { state: group, pskIndex: pskIndex(client, group), cipherSuite: client.cs };
    const made = await mls.createCommit(context, {
      wireAsPublicMessage: !request.sealed,
      extraProposals: proposalsOf(client, group, request),
      ratchetTreeExtension: true,
    });
    client.pending.set(request.group, made.newState);
    return { commit: message(made.commit), welcome: made.welcome === undefined ? null : framed("mls_welcome", "welcome", made.welcome) };
  },

  merge(request) {
    const client = clientOf(request);
    const group = client.pending.get(request.group);
    client.pending.delete(request.group);
    return moved(client, group);
  },

  discard(request) {
    clientOf(request).pending.delete(request.group);
    return {};
  },

  async propose(request) {
    const client = clientOf(request);
    const made = await propose(client, groupOf(client, request), request);
    client.groups.set(request.group, made.newState);
    return { message: message(made.message) };
  },

  // As branchGroup and reinitCreateNewGroup do it, but with the tree inside the Welcome.
  async found(request) {
    const client = clientOf(request);
    const old = groupOf(client, request);
    const [usage, id] = request.branch === undefined ? ["reinit", old.groupActiveState.reinit.groupId] : ["branch", bytes(request.branch)];
    const made = await newPackage(client);
    const fresh = await mls.createGroup(id, made.publicPackage, made.privatePackage, old.groupContext.extensions, client.cs, config());
    const link = resumption(client, usage, old.groupContext.groupId, old.groupContext.epoch);
    const context = { state: fresh, pskIndex: mls.makePskIndex(old, {}), cipherSuite: client.cs };
    const { newState, welcome } = await mls.createCommit(context, { extraProposals: [...proposalsOf(client, fresh, request), link], ratchetTreeExtension: true });
    moved(client, newState);
    return { welcome: framed("mls_welcome", "welcome", welcome) };
  },

  async protect(request) {
    const client = clientOf(request);
    const made = await mls.createApplicationMessage(groupOf(client, request), bytes(request.content), client.cs);
    client.groups.set(request.group, made.newState);
    return { message: framed("mls_private_message", "privateMessage", made.privateMessage) };
  },

  async process(request) {
    const client = clientOf(request);
    const group = groupOf(client, request);
    const result = await follow(client, group, decoded(bytes(request.message))).catch((error) => {
      throw error.message === "Could not decode ExternalSender" ? new Cannot(ONE_SENDER) : error;
    });
    const after = result.newState;
    client.groups.set(request.group, after);
    if (result.kind === "applicationMessage") return { kind: "application", content: b64(result.message) };
    const removed = after.groupActiveState.kind === "removedFromGroup";
    if (!removed && after.groupContext.epoch === group.groupContext.epoch) return { kind: "proposal" };
    client.updates.delete(request.group);
    return { kind: "commit", removed };
  },

  // WORKAROUND: the external_pub extension is put in with its length, and the GroupInfo signed by hand.
  async group_info(request) {
    const client = clientOf(request);
    const group = groupOf(client, request);
    const made = await mls.createGroupInfoWithExternalPubAndRatchetTree(group, [], client.cs);
    const { signature, ...unsigned } = made;
    const extensions = unsigned.extensions.map((one) =>
      one.extensionType === "external_pub" ? { ...one, extensionData: wrapped(one.extensionData) } : one);
    const signed = await signGroupInfo({ ...unsigned, extensions }, group.signaturePrivateKey, client.cs.signature);
    return { group_info: framed("mls_group_info", "groupInfo", signed) };
  },

  async external_commit(request) {
    const client = clientOf(request);
    const { groupInfo } = decoded(bytes(request.group_info), "mls_group_info");
    const name = b64(groupInfo.groupContext.groupId);
    const made = await newPackage(client);
    const resync = request.resync === true;
    const { publicMessage, newState } = await mls.joinGroupExternal(groupInfo, made.publicPackage, made.privatePackage, resync, client.cs, undefined, config());
    client.pending.set(name, newState);
    return { commit: framed("mls_public_message", "publicMessage", publicMessage), group: name };
  },

  async external_add(request) {
    const client = clientOf(request);
    const { groupInfo } = decoded(bytes(request.group_info), "mls_group_info");
    const made = await newPackage(client);
    return { message: message(await mls.proposeAddExternal(groupInfo, made.publicPackage, made.privatePackage, client.cs)) };
  },

  async state(request) {
    const client = clientOf(request);
    const group = groupOf(client, request);
    const leaves = group.ratchetTree.filter((node) => node?.nodeType === "leaf");
    return {
      epoch: Number(group.groupContext.epoch),
      members: leaves.map((node) => b64(node.leaf.credential.identity)),
      authenticator: b64(group.keySchedule.epochAuthenticator),
      exported: b64(await mls.mlsExporter(group.keySchedule.exporterSecret, request.label, new Uint8Array(), 32, client.cs)),
    };
  },
});
