// What the wallets here have in common: a line of JSON in, lines of JSON out, and the clock of the service under test.
import { createInterface } from 'node:readline'

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()

export const next = async () => JSON.parse((await lines.next()).value)
export const say = (told) => process.stdout.write(`${JSON.stringify(told)}\n`)
export const b64 = (data) => Buffer.from(data).toString('base64url')

export const setClock = (seconds) => {
  const RealDate = Date
  const ahead = seconds * 1000 - RealDate.now()
  globalThis.Date = class extends RealDate {
    constructor(...given) {
      super(...(given.length ? given : [RealDate.now() + ahead]))
    }
    static now() {
      return RealDate.now() + ahead
    }
  }
}

// The city's address belongs to nobody here.
export const fetchFrom = (task) => (url, init) => fetch(String(url).replace(task.origin, task.target), init)
