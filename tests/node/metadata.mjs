// What oid4vc-ts, and with it Credo and Paradym, says of issuer metadata: driven by tests/issuer/eudi/test_node_wallets.py.
import { Openid4vciClient } from '@openid4vc/openid4vci'
import { next, say } from './driver.mjs'

const { issuer, server, variants } = await next()
const verdicts = {}
for (const [name, metadata] of Object.entries(variants)) {
  const answers = { 'openid-credential-issuer': metadata, 'oauth-authorization-server': server }
  const answer = async (url) => Response.json(answers[String(url).split('/').at(-1)])
  const client = new Openid4vciClient({ callbacks: { fetch: answer } })
  verdicts[name] = await client.resolveIssuerMetadata(issuer).then(() => 'taken', (error) => error.name)
}
say(verdicts)
process.exit(0)
