// A wallet built on oid4vc-ts, dcql, @sd-jwt and @owf/mdoc, driven by tests/issuer/presentations/test_node_wallets.py: JSON in
// on stdin, JSON out on stdout.
import { createHash, createPublicKey, createPrivateKey, sign, verify, webcrypto, X509Certificate } from 'node:crypto'
import { Openid4vpClient } from '@openid4vc/openid4vp'
import { calculateJwkThumbprint } from '@openid4vc/oauth2'
import { CoseKey, DeviceRequest, DeviceResponse, DocRequest, IssuerSigned, ItemsRequest, SessionTranscript } from '@owf/mdoc'
import { SDJwtVcInstance } from '@sd-jwt/sd-jwt-vc'
import { DcqlQuery } from 'dcql'
import { CompactEncrypt, importJWK } from 'jose'

const task = JSON.parse(await new Promise((done) => {
  let text = ''
  process.stdin.on('data', (part) => { text += part }).on('end', () => done(text))
}))
const root = new X509Certificate(task.root)

// The service under test has a clock of its own.
const RealDate = Date
const ahead = task.now * 1000 - RealDate.now()
globalThis.Date = class extends RealDate {
  constructor(...given) {
    super(...(given.length ? given : [RealDate.now() + ahead]))
  }
  static now() {
    return RealDate.now() + ahead
  }
}

const hasher = (data, algorithm) =>
  new Uint8Array(createHash(algorithm.toLowerCase().replace('-', '')).update(Buffer.from(data)).digest())
const signed = (jwk, data) =>
  new Uint8Array(sign('sha256', Buffer.from(data), {
    key: createPrivateKey({ format: 'jwk', key: jwk }), dsaEncoding: 'ieee-p1363',
  }))

const callbacks = {
  // The city's address belongs to nobody here.
  fetch: (url, init) => fetch(String(url).replace(task.origin, task.target), init),
  hash: hasher,
  verifyJwt: async (signer, { compact }) => {
    const chain = signer.x5c.map((one) => new X509Certificate(Buffer.from(one, 'base64')))
    const isTrusted = [...chain.slice(1), root].every((above, place) =>
      chain[place].checkIssued(above) && chain[place].verify(above.publicKey))
    const [head, body, signature] = compact.split('.')
    const key = { key: chain[0].publicKey, dsaEncoding: 'ieee-p1363' }
    const holds = verify('sha256', Buffer.from(`${head}.${body}`), key, Buffer.from(signature, 'base64url'))
    return { verified: isTrusted && holds, signerJwk: chain[0].publicKey.export({ format: 'jwk' }) }
  },
  encryptJwe: async (encryptor, data) => {
    const { publicJwk: jwk, alg, enc, apu, apv } = encryptor
    const bytes = (text) => text && new Uint8Array(Buffer.from(text, 'base64url'))
    const jwe = await new CompactEncrypt(new TextEncoder().encode(data))
      .setProtectedHeader({ alg, enc, kid: jwk.kid })
      .setKeyManagementParameters({ apu: bytes(apu), apv: bytes(apv) })
      .encrypt(await importJWK(jwk, alg))
    return { encryptionJwk: jwk, jwe }
  },
  getX509CertificateMetadata: () => ({ sanDnsNames: [], sanUriNames: [] }),
}

const client = new Openid4vpClient({ callbacks })
const parsed = client.parseOpenid4vpAuthorizationRequest({ authorizationRequest: task.link })
const resolved = await client.resolveOpenId4vpAuthorizationRequest({
  authorizationRequestPayload: parsed.params,
  wallet: task.metadata ? { metadata: task.metadata } : undefined,
})
const request = resolved.authorizationRequestPayload

// What the wallet has, as the library for queries wants to see it.
const sdJwt = new SDJwtVcInstance({
  hasher,
  hashAlg: 'sha-256',
  kbSigner: (data) => Buffer.from(signed(task.key, data)).toString('base64url'),
  kbSignAlg: 'ES256',
})
const issued = task.format === 'mso_mdoc' ? IssuerSigned.fromEncodedForOid4Vci(task.credential) : undefined
const plain = (value) => (value instanceof Map ? Object.fromEntries([...value].map(([name, one]) => [name, plain(one)])) : value)
const held = task.format === 'mso_mdoc'
  ? {
      credential_format: 'mso_mdoc',
      doctype: task.type,
      namespaces: Object.fromEntries(task.namespaces.map((name) => [name, plain(issued.getPrettyClaims(name))])),
      cryptographic_holder_binding: true,
    }
  : {
      credential_format: 'dc+sd-jwt',
      vct: task.type,
      claims: await sdJwt.getClaims(task.credential),
      cryptographic_holder_binding: true,
    }
const query = DcqlQuery.parse(request.dcql_query)
DcqlQuery.validate(query)
const found = DcqlQuery.query(query, [held])
if (!found.can_be_satisfied) throw new Error(JSON.stringify(found))
const [id, match] = Object.entries(found.credential_matches).find(([, one]) => one.success)
const claims = query.credentials.find((one) => one.id === id).claims
const wanted = new Set(match.valid_credentials[0].claims.valid_claim_sets[0].valid_claim_indexes ?? claims.keys())
const paths = claims.filter((_, place) => wanted.has(place)).map((one) => one.path)

let presentation
if (task.format === 'mso_mdoc') {
  const namespaces = {}
  for (const [namespace, element] of paths) (namespaces[namespace] ??= {})[element] = false
  const [key] = request.client_metadata.jwks.keys
  const thumbprint = await calculateJwkThumbprint({
    jwk: key, hashAlgorithm: 'sha-256', hashCallback: callbacks.hash,
  })
  const context = {
    crypto: {
      random: (length) => webcrypto.getRandomValues(new Uint8Array(length)),
      digest: ({ digestAlgorithm, bytes }) => hasher(bytes, digestAlgorithm),
    },
    cose: { sign1: { sign: ({ toBeSigned }) => signed(task.key, toBeSigned) } },
  }
  const sessionTranscript = await SessionTranscript.forOid4Vp({
    clientId: request.client_id,
    nonce: request.nonce,
    responseUri: request.response_uri,
    jwkThumbprint: new Uint8Array(Buffer.from(thumbprint, 'base64url')),
  }, context)
  const response = await DeviceResponse.createWithDeviceRequest({
    deviceRequest: DeviceRequest.create({
      docRequests: [DocRequest.create({ itemsRequest: ItemsRequest.create({ docType: task.type, namespaces }) })],
    }),
    issuerSigned: [issued],
    sessionTranscript,
    signature: { signingKey: CoseKey.fromJwk({ ...task.key, alg: 'ES256' }) },
  }, context)
  presentation = response.encodedForOid4Vp
} else {
  const frame = {}
  for (const path of paths) {
    let place = frame
    for (const step of path.slice(0, -1)) place = place[step] ??= {}
    place[path.at(-1)] = true
  }
  presentation = await sdJwt.present(task.credential, frame, {
    kb: { payload: { iat: Math.floor(Date.now() / 1000), aud: request.client_id, nonce: request.nonce } },
  })
}

const made = await client.createOpenid4vpAuthorizationResponse({
  authorizationRequestPayload: request,
  authorizationResponsePayload: { vp_token: { [id]: [presentation] } },
  jarm: {
    encryption: { nonce: 'a nonce of the wallet' },
    serverMetadata: {
      authorization_signing_alg_values_supported: ['ES256'],
      authorization_encryption_alg_values_supported: ['ECDH-ES'],
      authorization_encryption_enc_values_supported: [task.enc],
    },
  },
})
const { response } = await client.submitOpenid4vpAuthorizationResponse({
  authorizationRequestPayload: request,
  authorizationResponsePayload: made.authorizationResponsePayload,
  jarm: made.jarm,
})
process.stdout.write(JSON.stringify({
  version: resolved.version,
  prefix: resolved.client.prefix,
  query: id,
  paths,
  status: response.status,
  answer: await response.json(),
}))
