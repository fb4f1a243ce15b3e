// The addon of a release must not grow unseen: npm/size-budget.json says how many bytes it may have, and how many it
// has.
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { test } from 'node:test'
import { root } from './support/child.mjs'

const require = createRequire(import.meta.url)
const { describe, inspect } = require('../scripts/addon')
const { sectionsOf } = require('../scripts/elf')
/** @type {Record<string, number> & { measured: Record<string, number> }} */
const sizes = require('../npm/size-budget.json')
const { measured, ...budget } = sizes

/**
 * An addon that was built here for release. `npm run test:release` makes one and wants it measured; elsewhere the test
 * of another build is skipped.
 * @param {import('node:test').TestContext} t
 * @param {string} name
 */
function release(t, name) {
  const file = path.join(root, name)
  const addon = existsSync(file) ? inspect(file) : undefined
  if (addon?.profile === 'release') {
    assert.ok(addon.stripped, describe(addon))
    return readFileSync(file)
  }
  const found = addon ? describe(addon) : `${name}: not built`
  assert.notEqual(process.env.COUNTERSIGN_RELEASE_TEST, '1', found)
  return t.skip(found)
}

for (const [name, most] of Object.entries(budget)) {
  test(`${name} has at most ${most} bytes`, (t) => {
    const elf = release(t, name)
    if (!elf) return
    t.diagnostic(`${elf.length} bytes, ${most - elf.length} left`)
    assert.ok(elf.length <= most, `${elf.length} bytes, ${elf.length - most} more than npm/size-budget.json allows`)
    // A change within the budget is shown too: it is written down with what causes it.
    const change = elf.length / measured[name] - 1
    assert.ok(Math.abs(change) <= 0.02, `${elf.length} bytes: write that into "measured" of npm/size-budget.json`)
  })

  test(`what a service runs lies side by side in ${name}, and little else does`, (t) => {
    const elf = release(t, name)
    if (!elf) return
    const sizes = Object.fromEntries(sectionsOf(elf).map(({ name, size }) => [name, size]))
    t.diagnostic(`${sizes['.text.first']} bytes of code first, ${sizes['.text']} behind`)
    // RUSTFLAGS replaces what .cargo/config.toml says of names. A compiler that names functions in another way wants a
    // new list.
    assert.ok(
      sizes['.text.first'] > 600_000,
      `${sizes['.text.first']} bytes: is RUSTFLAGS set? Else run node scripts/code-order.js`
    )
    assert.ok(sizes['.text.first'] < sizes['.text'] / 2, 'src/code-order.txt means too much')
  })
}
