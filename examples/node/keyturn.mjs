import { createRemoteJWKSet, jwtVerify } from 'jose'

export async function guard(issuer, audience = 'keyturn') {
  const metadata = await fetch(`${issuer}/.well-known/oauth-authorization-server`)
  const { issuer: itself, jwks_uri } = await metadata.json()
  if (itself !== issuer) throw new Error(`${issuer} says that it is ${itself}`)
  const keys = createRemoteJWKSet(new URL(jwks_uri))
  const algorithms = ['ES256', 'EdDSA', 'RS256']
  const rules = { issuer, audience, algorithms, typ: 'at+jwt', requiredClaims: ['sub', 'sid', 'exp'] }
  return async (token) => (await jwtVerify(token, keys, rules)).payload
}
