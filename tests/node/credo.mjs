// A wallet on Credo, driven by tests/issuer/eudi/test_credo.py. Its keys and records are in memory: what Credo has for
// that elsewhere are libraries in machine code.
import { EventEmitter } from 'node:events'
import { randomBytes, randomUUID, webcrypto } from 'node:crypto'
import { Agent, InjectionSymbols, Kms, RecordNotFoundError, X509Module } from '@credo-ts/core'
import { OpenId4VcModule } from '@credo-ts/openid4vc'
import { b64, fetchFrom, next, say, setClock } from './driver.mjs'

const task = await next()
setClock(task.now)

const ES256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const publicMembers = ({ kty, crv, x, y }) => ({ kty, crv, x, y })

class MemoryKeys {
  backend = 'memory'
  #pairs = new Map()

  isOperationSupported(_, { operation, type, algorithm }) {
    if (operation === 'createKey') return type.kty === 'EC' && type.crv === 'P-256'
    if (operation === 'sign' || operation === 'verify') return algorithm === 'ES256'
    return operation === 'randomBytes' || operation === 'deleteKey'
  }
  async getPublicKey(_, keyId) {
    return this.#pairs.get(keyId)?.jwk ?? null
  }
  async createKey(_, { keyId = randomUUID() }) {
    const pair = await webcrypto.subtle.generateKey(ES256, true, ['sign', 'verify'])
    const jwk = { ...publicMembers(await webcrypto.subtle.exportKey('jwk', pair.publicKey)), kid: keyId }
    this.#pairs.set(keyId, { jwk, key: pair.privateKey })
    return { keyId, publicJwk: { ...jwk } }
  }
  async deleteKey(_, { keyId }) {
    return this.#pairs.delete(keyId)
  }
  async sign(_, { keyId, data }) {
    return { signature: new Uint8Array(await webcrypto.subtle.sign(ES256, this.#pairs.get(keyId).key, data)) }
  }
  async verify(_, { key, data, signature }) {
    const jwk = publicMembers(key.publicJwk ?? this.#pairs.get(key.keyId).jwk)
    const known = await webcrypto.subtle.importKey('jwk', jwk, ES256, true, ['verify'])
    const verified = await webcrypto.subtle.verify(ES256, known, signature, data)
    return verified ? { verified, publicJwk: jwk } : { verified }
  }
  randomBytes(_, { length }) {
    return new Uint8Array(randomBytes(length))
  }
}

class MemoryRecords {
  supportsCursorPagination = false
  #records = new Map()

  async save(_, record) {
    this.#records.set(record.id, record)
  }
  update = this.save
  async delete(_, record) {
    this.#records.delete(record.id)
  }
  async deleteById(_, __, id) {
    this.#records.delete(id)
  }
  async getById(_, { type }, id) {
    const found = this.#records.get(id)
    if (!found) throw new RecordNotFoundError(`no record ${id}`, { recordType: type })
    return found
  }
  async getAll(_, { type }) {
    return [...this.#records.values()].filter((one) => one.type === type)
  }
  findByQuery(context, recordClass) {
    return this.getAll(context, recordClass)
  }
}

const agent = new Agent({
  config: { autoUpdateStorageOnStartup: true },
  dependencies: { FileSystem: class {}, EventEmitterClass: EventEmitter, fetch: fetchFrom(task), WebSocketClass: class {} },
  modules: {
    keyManagement: new Kms.KeyManagementModule({ backends: [new MemoryKeys()] }),
    records: { register: (manager) => manager.registerInstance(InjectionSymbols.StorageService, new MemoryRecords()) },
    x509: new X509Module({ trustedCertificates: [task.root] }),
    openid4vc: new OpenId4VcModule({}),
  },
})
await agent.initialize()
const holder = agent.openid4vc.holder

// The provider of the wallet vouches for it, and for its keys.
const vouch = async (typ, claims) => {
  const { d, ...jwk } = task.provider.jwk
  const key = await webcrypto.subtle.importKey('jwk', { ...jwk, d }, ES256, false, ['sign'])
  const times = { iat: Math.floor(Date.now() / 1000), exp: Math.floor(Date.now() / 1000) + 3600 }
  const header = { alg: 'ES256', typ, x5c: task.provider.x5c }
  const parts = [header, { ...times, ...claims }].map((one) => b64(JSON.stringify(one))).join('.')
  return `${parts}.${b64(await webcrypto.subtle.sign(ES256, key, Buffer.from(parts)))}`
}
const newKey = () => agent.kms.createKeyForSignatureAlgorithm({ algorithm: 'ES256' })
const walletAttestationJwt = task.provider && (await vouch('oauth-client-attestation+jwt', {
  iss: 'https://provider.example', sub: task.clientId, wallet_name: 'Credo', cnf: { jwk: (await newKey()).publicJwk },
}))

const resolvedCredentialOffer = await holder.resolveCredentialOffer(task.offer)
const client = task.flow === 'code' ? { clientId: task.clientId, redirectUri: task.redirectUri } : {}
let tokens
if (task.flow === 'code') {
  const began = await holder.resolveOpenId4VciAuthorizationRequest(resolvedCredentialOffer, {
    ...client, walletAttestationJwt,
  })
  say({ authorize: began.authorizationRequestUrl })
  const { authorizationCode } = await holder.parseAuthorizationCodeFromAuthorizationResponse({
    resolvedCredentialOffer, authorizationResponseRedirectUrl: (await next()).redirect,
  })
  tokens = await holder.requestToken({
    resolvedCredentialOffer,
    code: authorizationCode,
    codeVerifier: began.codeVerifier,
    dpop: began.dpop,
    walletAttestationJwt,
    ...client,
  })
} else {
  tokens = await holder.requestToken({ resolvedCredentialOffer, txCode: task.txCode ?? undefined, walletAttestationJwt })
}

const credentialBindingResolver = async ({ proofTypes, cNonce }) => {
  const made = await Promise.all(Array.from({ length: task.batch }, newKey))
  if (proofTypes.jwt?.keyAttestationsRequired) {
    const keyAttestationJwt = await vouch('key-attestation+jwt', {
      nonce: cNonce, attested_keys: made.map((one) => one.publicJwk), key_storage: ['iso_18045_high'],
    })
    return { method: 'attestation', keyAttestationJwt }
  }
  return { method: 'jwk', keys: made.map((one) => Kms.PublicJwk.fromPublicJwk(one.publicJwk)) }
}

const fetchAll = async ({ accessToken, dpop }) => {
  const answer = await holder.requestCredentials({
    resolvedCredentialOffer, accessToken, dpop, credentialBindingResolver, verifyCredentialStatus: true, ...client,
  })
  const told = {}
  for (const { record, credentialConfigurationId, notificationId } of answer.credentials) {
    await holder.sendNotification({
      metadata: resolvedCredentialOffer.metadata,
      accessToken,
      dpop: answer.dpop,
      notificationId,
      notificationEvent: 'credential_accepted',
    })
    told[credentialConfigurationId] = record.credentialInstances.map(
      (one) => one.compactSdJwtVc ?? one.issuerSignedBase64Url,
    )
    if (record.typeMetadata) told.typeMetadata = record.typeMetadata
  }
  return told
}

const { typeMetadata, ...credentials } = await fetchAll(tokens)
let renewed
if (tokens.refreshToken) {
  const again = await holder.refreshToken({
    issuerMetadata: resolvedCredentialOffer.metadata,
    refreshToken: tokens.refreshToken,
    dpop: tokens.dpop,
    walletAttestationJwt,
    ...client,
  })
  delete (renewed = await fetchAll(again)).typeMetadata
}
say({ credentials, renewed, typeMetadata })
process.exit(0)
