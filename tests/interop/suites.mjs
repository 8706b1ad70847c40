// ts-mls's cipher suites as this project numbers them, by the RFC: each with its WORKAROUNDs (README.md lists them).

import { createHash } from "node:crypto";
import { Aes128Gcm, Aes256Gcm, CipherSuite, HkdfSha256, HkdfSha384 } from "@hpke/core";
import { XWing } from "@hpke/hybridkem-x-wing";
import { p256, p384, p521 } from "@noble/curves/nist.js";
import * as mls from "ts-mls";
import { makeAead } from "ts-mls/crypto/implementation/default/makeAead.js";
import { makeHashImpl } from "ts-mls/crypto/implementation/default/makeHashImpl.js";
import { makeKdfImpl } from "ts-mls/crypto/implementation/default/makeKdfImpl.js";
import { makeGenericHpke } from "ts-mls/crypto/implementation/hpke.js";

const HYBRIDS = {
  0xf001: { hash: "SHA-256", kdf: HkdfSha256, aead: "AES128GCM", hpkeAead: Aes128Gcm },
  0xf002: { hash: "SHA-384", kdf: HkdfSha384, aead: "AES256GCM", hpkeAead: Aes256Gcm },
};
export const SUITES = [1, 2, 3, 5, 7, ...Object.keys(HYBRIDS).map(Number)];

// WORKAROUND: DeriveKeyPair of MLKEM768-X25519 as in draft-ietf-hpke-pq; the package has that of an older X-Wing draft.
class HybridKem extends XWing {
  async deriveKeyPair(ikm) {
    const label = Buffer.from("DeriveKeyPair");
    const labeled = Buffer.concat([new Uint8Array(ikm), Buffer.from("HPKE-v1KEM"), u16(0x647a), u16(label.length), label, u16(32)]);
    return this.generateKeyPairDerand(new Uint8Array(createHash("shake256", { outputLength: 32 }).update(labeled).digest()));
  }
}

const u16 = (value) => Buffer.from([value >> 8, value & 0xff]);

// Rows 1 and 2 of draft-ietf-mls-pq-ciphersuites. ts-mls writes a suite of unknown name as the number that it is named.
async function hybrid(number) {
  const row = HYBRIDS[number];
  const first = await mls.getCiphersuiteImpl(mls.getCiphersuiteFromName("MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519"));
  const [aead] = await makeAead(row.aead);
  const suite = new CipherSuite({ kem: new HybridKem(), kdf: new row.kdf(), aead: new row.hpkeAead() });
  const hpke = await makeGenericHpke({ kem: "X-Wing" }, aead, suite);
  return { ...first, name: String(number), hash: makeHashImpl(crypto.subtle, row.hash), kdf: makeKdfImpl(new row.kdf()), hpke };
}

export async function suiteOf(number) {
  const name = Object.keys(mls.ciphersuites).find((one) => mls.ciphersuites[one] === number);
  const cs = number in HYBRIDS ? await hybrid(number) : await mls.getCiphersuiteImpl(mls.getCiphersuiteFromName(name));
  const { length } = await cs.hpke.exportPublicKey((await cs.hpke.generateKeyPair()).publicKey);
  return { ...cs, hpke: { ...cs.hpke, importPublicKey: (key) => cs.hpke.importPublicKey(unwrapped(key, length)) } };
}

// WORKAROUND: on the NIST curves a signature key is an uncompressed point (section 5.1.1), and ts-mls makes compressed ones.
export async function signatureKeys(cs) {
  const { signKey, publicKey } = await cs.signature.keygen();
  const curve = { 33: p256, 49: p384, 67: p521 }[publicKey.length];
  return { signKey, publicKey: curve === undefined ? publicKey : curve.getPublicKey(signKey, false) };
}

// WORKAROUND: ExternalPub is a struct with one vector in it (section 12.4.3.2), which ts-mls takes and writes without
// the vector's length. Coming in, the length is taken off where the key is read: the GroupInfo's signature covers it.
function unwrapped(key, length) {
  const head = wrapped(new Uint8Array(length)).length - length;
  return key.length === length + head ? key.slice(head) : key;
}

export function wrapped(key) {
  const head = key.length < 64 ? [key.length] : [0x40 | (key.length >> 8), key.length & 0xff];
  return new Uint8Array([...head, ...key]);
}
