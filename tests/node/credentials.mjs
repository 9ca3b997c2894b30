// Checks credentials with the libraries that wallets are built on. In: JSON on stdin, {root, cases: [...]}.
// Out: JSON on stdout, for each case {ok: value} or {refused: sentence}.
import { createHash, createPublicKey, verify as verifySignature, webcrypto, X509Certificate } from 'node:crypto';
import mdl from '@auth0/mdl';
import { CoseKey, DeviceResponse, IssuerSigned, Verifier } from '@owf/mdoc';
import { SDJwtVcInstance } from '@sd-jwt/sd-jwt-vc';

const told = JSON.parse(await new Promise((done) => {
  let text = '';
  process.stdin.on('data', (part) => { text += part; }).on('end', () => done(text));
}));
const root = new X509Certificate(told.root);
const bytes = (text) => new Uint8Array(Buffer.from(text, 'base64url'));
const hasher = (data, algorithm) =>
  new Uint8Array(createHash(algorithm.replace('-', '')).update(new Uint8Array(Buffer.from(data))).digest());

const chainHolds = (chain, now) => {
  const certificates = chain.map((one) => new X509Certificate(one));
  [...certificates.slice(1), root].forEach((issuer, place) => {
    const issued = certificates[place];
    if (!issued.checkIssued(issuer) || !issued.verify(issuer.publicKey)) throw new Error('chain');
    if (now < new Date(issued.validFrom) || now > new Date(issued.validTo)) throw new Error('certificate period');
  });
  return certificates[0];
};
const es256 = (key, data, signature) =>
  verifySignature('sha256', Buffer.from(data), { key, dsaEncoding: 'ieee-p1363' }, Buffer.from(signature));

async function sdJwt(one) {
  const now = new Date(one.now * 1000);
  const instance = new SDJwtVcInstance({
    hasher,
    hashAlg: 'sha-256',
    verifier: (data, signature) => {
      const header = JSON.parse(Buffer.from(data.split('.')[0], 'base64url').toString());
      const leaf = chainHolds(header.x5c.map((each) => Buffer.from(each, 'base64')), now);
      return es256(leaf.publicKey, data, Buffer.from(signature, 'base64url'));
    },
    kbVerifier: (data, signature, payload) => {
      const key = createPublicKey({ format: 'jwk', key: payload.cnf.jwk });
      return es256(key, data, Buffer.from(signature, 'base64url'));
    },
    statusListFetcher: async () => one.statusList,
    statusVerifier: (data, signature) => {
      const header = JSON.parse(Buffer.from(data.split('.')[0], 'base64url').toString());
      const leaf = chainHolds(header.x5c.map((each) => Buffer.from(each, 'base64')), now);
      return es256(leaf.publicKey, data, Buffer.from(signature, 'base64url'));
    },
    loadTypeMetadataFormat: Boolean(one.metadata),
    vctFetcher: async () => JSON.parse(one.metadata),
  });
  const made = await instance.verify(one.credential, {
    currentDate: one.now,
    keyBindingNonce: one.nonce,
  });
  return { payload: made.payload, metadata: made.typeMetadata ?? null };
}

const context = (now) => ({
  crypto: {
    random: (length) => webcrypto.getRandomValues(new Uint8Array(length)),
    digest: ({ digestAlgorithm, bytes: data }) => hasher(data, digestAlgorithm),
    calculateEphemeralMacKey: () => { throw new Error('not used'); },
  },
  cose: {
    sign1: {
      sign: () => { throw new Error('not used'); },
      verify: ({ key, sign1 }) =>
        es256(createPublicKey({ format: 'jwk', key: key.jwk }), sign1.toBeSigned, sign1.signature),
    },
    mac0: { sign: () => { throw new Error('not used'); }, verify: () => false },
  },
  x509: {
    getIssuerNameField: () => ['DE'],
    getPublicKey: ({ certificate }) =>
      CoseKey.fromJwk(new X509Certificate(certificate).publicKey.export({ format: 'jwk' })),
    verifyCertificateChain: ({ x5chain }) => { chainHolds(x5chain, now); },
    getCertificateData: ({ certificate }) => {
      const read = new X509Certificate(certificate);
      return {
        issuerName: read.issuer,
        subjectName: read.subject,
        serialNumber: read.serialNumber,
        thumbprint: read.fingerprint,
        notBefore: new Date(read.validFrom),
        notAfter: new Date(read.validTo),
        pem: read.toString(),
      };
    },
  },
});

const plain = (value) => {
  if (value instanceof Map) return Object.fromEntries([...value].map(([name, one]) => [name, plain(one)]));
  if (value instanceof Date) return value.toISOString().slice(0, 10);
  if (Array.isArray(value)) return value.map(plain);
  return value;
};

async function owfIssued(one) {
  const now = new Date(one.now * 1000);
  const read = IssuerSigned.fromEncodedForOid4Vci(one.credential);
  await read.verify({ now, trustedCertificates: [new Uint8Array(root.raw)] }, context(now));
  return Object.fromEntries(one.namespaces.map((name) => [name, plain(read.getPrettyClaims(name))]));
}

async function owfResponse(one) {
  const now = new Date(one.now * 1000);
  await Verifier.verifyDeviceResponse({
    deviceResponse: DeviceResponse.decode(bytes(one.response)),
    sessionTranscript: bytes(one.transcript),
    trustedCertificates: [new Uint8Array(root.raw)],
    now,
  }, context(now));
  return true;
}

async function auth0Response(one) {
  const verifier = new mdl.Verifier([told.root]);
  const made = await verifier.verify(Buffer.from(one.response, 'base64url'), {
    // This library wants the transcript in a byte string with tag 24.
    encodedSessionTranscript: Buffer.from(one.embeddedTranscript, 'base64url'),
  });
  const [document] = made.documents;
  return Object.fromEntries(
    document.issuerSignedNameSpaces.map((name) => [name, plain(document.getIssuerNameSpace(name))]));
}

const kinds = { 'sd-jwt': sdJwt, 'owf-issued': owfIssued, 'owf-response': owfResponse, 'auth0-response': auth0Response };
const answers = [];
for (const one of told.cases) {
  try {
    answers.push({ ok: await kinds[one.kind](one) });
  } catch (fault) {
    answers.push({ refused: String(fault?.message ?? fault) });
  }
}
process.stdout.write(JSON.stringify(answers));
