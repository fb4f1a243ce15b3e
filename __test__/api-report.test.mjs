// The public face is what api/ says: whoever changes it shows the change.
import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { test } from 'node:test'
import { root } from './support/child.mjs'

const { expected } = createRequire(import.meta.url)('../scripts/api-report')
const reports = expected()

for (const [file, text] of reports) {
  test(`${file} is up to date; else: npm run api`, () =>
    assert.equal(readFileSync(path.join(root, file), 'utf8'), text))
}

test('there is no report of what is gone; else: npm run api', () => {
  assert.deepEqual(
    readdirSync(path.join(root, 'api'))
      .map((name) => `api/${name}`)
      .sort(),
    [...reports.keys()].sort()
  )
})

test('a report has the declarations and nothing of their documentation', () => {
  const text = reports.get('api/index.md')
  assert.match(text, /^export function getIdentity\(/m)
  assert.match(text, /^export class X509Source/m)
  assert.doesNotMatch(text, /\/\*\*|@example|^\s*\*/m)
})
