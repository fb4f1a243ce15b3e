// The addon of a release must not grow unseen: npm/size-budget.json says how many bytes it may have. Lower it when it shrinks.
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { root } from './child.mjs'

const budget = JSON.parse(readFileSync(path.join(root, 'npm', 'size-budget.json'), 'utf8'))

/** The sections of an ELF file: types, and sizes by name. @param {Buffer} elf */
function sectionsOf(elf) {
  const start = Number(elf.readBigUInt64LE(40))
  const [size, count, names] = [elf.readUInt16LE(58), elf.readUInt16LE(60), elf.readUInt16LE(62)]
  const header = (/** @type {number} */ index) => elf.subarray(start + index * size)
  const offset = Number(header(names).readBigUInt64LE(24))
  return Array.from({ length: count }, (_, index) => {
    const name = offset + header(index).readUInt32LE(0)
    return {
      name: elf.toString('latin1', name, elf.indexOf(0, name)),
      type: header(index).readUInt32LE(4),
      size: Number(header(index).readBigUInt64LE(32))
    }
  })
}

/** A release is stripped: no symbol table among its sections. @param {Buffer} elf */
function isStripped(elf) {
  const SYMTAB = 2
  return sectionsOf(elf).every(({ type }) => type !== SYMTAB)
}

/**
 * An addon that was built here for release; otherwise the test is skipped.
 * @param {import('node:test').TestContext} t
 * @param {string} name
 */
function release(t, name) {
  const file = path.join(root, name)
  if (!existsSync(file)) return t.skip('another system')
  const elf = readFileSync(file)
  return isStripped(elf) ? elf : t.skip('a debug build')
}

for (const [name, bytes] of Object.entries(budget)) {
  test(`${name} has at most ${bytes} bytes`, (t) => {
    const elf = release(t, name)
    if (!elf) return
    t.diagnostic(`${elf.length} bytes, ${bytes - elf.length} left`)
    assert.ok(elf.length <= bytes, `${elf.length} bytes, ${elf.length - bytes} more than npm/size-budget.json allows`)
    // A budget far above what is needed holds nothing.
    assert.ok(elf.length > bytes * 0.9, `${elf.length} bytes: lower the number in npm/size-budget.json`)
  })

  test(`what a service runs lies side by side in ${name}, and little else does`, (t) => {
    const elf = release(t, name)
    if (!elf) return
    const sizes = Object.fromEntries(sectionsOf(elf).map(({ name, size }) => [name, size]))
    t.diagnostic(`${sizes['.text.first']} bytes of code first, ${sizes['.text']} behind`)
    // The names are those of .cargo/config.toml, which RUSTFLAGS replaces; for a compiler that gives others they are written anew.
    assert.ok(
      sizes['.text.first'] > 600_000,
      `${sizes['.text.first']} bytes: is RUSTFLAGS set? Else run node scripts/code-order.js`
    )
    assert.ok(sizes['.text.first'] < sizes['.text'] / 2, 'src/code-order.txt means too much')
  })
}
