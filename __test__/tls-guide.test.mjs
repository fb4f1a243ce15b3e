// docs/tls.md names every option there is.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { root } from './support/child.mjs'

const guide = readFileSync(path.join(root, 'docs', 'tls.md'), 'utf8')
const typings = readFileSync(path.join(root, 'types', 'tls.d.ts'), 'utf8')

test('every option of the typings is in the guide', () => {
  const interfaces = [...typings.matchAll(/^export interface (\w+)[^{]*\{\n(.*?)^\}/gms)].filter(
    ([, name]) => /(Options|Settings|Lifetimes)$/.test(name) && !/TlsOptions$/.test(name)
  )
  const names = interfaces.flatMap(([, , body]) => [...body.matchAll(/^ {2}(\w+)\??:/gm)].map(([, name]) => name))
  assert.ok(names.includes('maxConnectionAge') && names.includes('undici') && names.length > 20, names.join())
  assert.deepEqual(
    names.filter((name) => !guide.includes(`\`${name}\``)),
    []
  )
})
