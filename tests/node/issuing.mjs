// A wallet built on oid4vc-ts, driven by tests/issuer/eudi/test_node_wallets.py: a line of JSON in, lines of JSON out.
import { createHash, webcrypto } from 'node:crypto'
import {
  clientAuthenticationAnonymous,
  clientAuthenticationClientAttestationJwt,
  createClientAttestationJwt,
  Oauth2Client,
} from '@openid4vc/oauth2'
import { createKeyAttestationJwt, extractScopesForCredentialConfigurationIds, Openid4vciClient } from '@openid4vc/openid4vci'
import { b64, fetchFrom, next, say, setClock } from './driver.mjs'

const task = await next()
setClock(task.now)

const keys = new Map()
const thumb = (jwk) => `${jwk.x}.${jwk.y}`
const newKey = async () => {
  const pair = await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign'])
  const { kty, crv, x, y } = await webcrypto.subtle.exportKey('jwk', pair.publicKey)
  const jwk = { kty, crv, x, y }
  keys.set(thumb(jwk), pair.privateKey)
  return jwk
}
if (task.provider) {
  const { d, ...jwk } = task.provider.jwk
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' }
  keys.set('provider', await webcrypto.subtle.importKey('jwk', { ...jwk, d }, algorithm, false, ['sign']))
  keys.set(thumb(jwk), keys.get('provider'))
  task.provider.public = jwk
}

const callbacks = {
  fetch: fetchFrom(task),
  hash: (data, algorithm) => createHash(algorithm.replace('-', '')).update(data).digest(),
  generateRandom: (count) => webcrypto.getRandomValues(new Uint8Array(count)),
  signJwt: async (signer, { header, payload }) => {
    const jwk = signer.method === 'x5c' ? task.provider.public : signer.publicJwk
    const parts = `${b64(JSON.stringify(header))}.${b64(JSON.stringify(payload))}`
    const key = signer.method === 'x5c' ? keys.get('provider') : keys.get(thumb(jwk))
    const signature = await webcrypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, key, Buffer.from(parts))
    return { jwt: `${parts}.${b64(signature)}`, signerJwk: jwk }
  },
}
const signedBy = (publicJwk) => ({ method: 'jwk', alg: 'ES256', publicJwk })
const soon = () => new Date(Date.now() + 3_600_000)

callbacks.clientAuthentication = clientAuthenticationAnonymous()
if (task.provider) {
  const instance = await newKey()
  const clientAttestationJwt = await createClientAttestationJwt({
    issuer: 'https://provider.example',
    clientId: task.clientId,
    confirmation: { jwk: instance },
    expiresAt: soon(),
    additionalPayload: { wallet_name: 'oid4vc-ts' },
    signer: { method: 'x5c', alg: 'ES256', x5c: task.provider.x5c },
    callbacks,
  })
  callbacks.clientAuthentication = clientAuthenticationClientAttestationJwt({ clientAttestationJwt, callbacks })
}

const client = new Openid4vciClient({ callbacks })
const credentialOffer = await client.resolveCredentialOffer(task.offer)
const issuerMetadata = await client.resolveIssuerMetadata(credentialOffer.credential_issuer)
const dpop = task.dpop ? { signer: signedBy(await newKey()) } : undefined

let tokens
if (task.flow === 'pre-authorized') {
  tokens = await client.retrievePreAuthorizedCodeAccessTokenFromOffer({
    credentialOffer, issuerMetadata, txCode: task.txCode ?? undefined, dpop,
  })
} else {
  const scopes = extractScopesForCredentialConfigurationIds({
    credentialConfigurationIds: credentialOffer.credential_configuration_ids, issuerMetadata,
  })
  const began = await client.initiateAuthorization({
    clientId: task.clientId,
    redirectUri: task.redirectUri,
    scope: scopes.join(' '),
    state: 'a state',
    credentialOffer,
    issuerMetadata,
    dpop,
  })
  say({ authorize: began.authorizationRequestUrl })
  const { redirect } = await next()
  const response = client.parseAndVerifyAuthorizationResponseRedirectUrl({
    url: redirect, authorizationServerMetadata: issuerMetadata.authorizationServers[0],
  })
  tokens = await client.retrieveAuthorizationCodeAccessTokenFromOffer({
    credentialOffer,
    issuerMetadata,
    authorizationCode: response.code,
    pkceCodeVerifier: began.pkce.codeVerifier,
    redirectUri: task.redirectUri,
    dpop,
  })
}

const fetchAll = async ({ accessTokenResponse, dpop: bound }) => {
  const told = {}
  for (const id of credentialOffer.credential_configuration_ids) {
    const { c_nonce: nonce } = await client.requestNonce({ issuerMetadata })
    const publicJwks = await Promise.all(Array.from({ length: task.batch }, newKey))
    const attestation = task.provider && (await createKeyAttestationJwt({
      nonce,
      expiresAt: soon(),
      attestedKeys: publicJwks,
      keyStorage: ['iso_18045_high'],
      signer: { method: 'x5c', alg: 'ES256', x5c: task.provider.x5c },
      use: 'proof_type.jwt',
      callbacks,
    }))
    const signing = attestation ? publicJwks.slice(0, 1) : publicJwks
    const jwt = await Promise.all(signing.map(async (one) => (await client.createCredentialRequestJwtProof({
      issuerMetadata,
      credentialConfigurationId: id,
      nonce,
      clientId: task.flow === 'pre-authorized' ? undefined : task.clientId,
      keyAttestationJwt: attestation,
      signer: signedBy(one),
    })).jwt))
    const { credentialResponse, dpop: renewed } = await client.retrieveCredentials({
      issuerMetadata,
      credentialConfigurationId: id,
      proofs: { jwt },
      accessToken: accessTokenResponse.access_token,
      dpop: bound,
    })
    // What comes back has the nonce alone.
    bound = bound && { ...bound, nonce: renewed?.nonce ?? bound.nonce }
    if (credentialResponse.transaction_id) {
      say({ deferred: credentialResponse.transaction_id })
      await next()
      const later = await client.retrieveDeferredCredentials({
        issuerMetadata,
        transactionId: credentialResponse.transaction_id,
        accessToken: accessTokenResponse.access_token,
        dpop: bound,
      })
      told[id] = later.deferredCredentialResponse.credentials.map((one) => one.credential)
      continue
    }
    await client.sendNotification({
      issuerMetadata,
      accessToken: accessTokenResponse.access_token,
      notification: { notificationId: credentialResponse.notification_id, event: 'credential_accepted' },
      dpop: bound,
    })
    told[id] = credentialResponse.credentials.map((one) => one.credential)
  }
  return told
}

const credentials = await fetchAll(tokens)
let renewed
if (tokens.accessTokenResponse.refresh_token) {
  const oauth = new Oauth2Client({ callbacks })
  const again = await oauth.retrieveRefreshTokenAccessToken({
    authorizationServerMetadata: issuerMetadata.authorizationServers[0],
    refreshToken: tokens.accessTokenResponse.refresh_token,
    dpop: tokens.dpop,
  })
  renewed = await fetchAll(again)
}
say({ credentials, renewed, draft: issuerMetadata.originalDraftVersion })
process.exit(0)
