// Verifies tokens, one a line, and answers each with its claims or why it is refused, as JSON.
import { createInterface } from 'node:readline'
import { guard } from '../../examples/node/keyturn.mjs'

const verify = await guard(process.argv[2])
for await (const token of createInterface({ input: process.stdin })) {
  const answer = await verify(token).catch((error) => ({ refused: error.code }))
  console.log(JSON.stringify(answer))
}
