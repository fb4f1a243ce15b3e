// The addon of a release must not grow unseen: npm/size-budget.json says how many bytes it may have. Lower it when it shrinks.
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { root } from './child.mjs'

const budget = JSON.parse(readFileSync(path.join(root, 'npm', 'size-budget.json'), 'utf8'))

/** A release is stripped: no symbol table among its sections. @param {Buffer} elf */
function isStripped (elf) {
  const sections = Number(elf.readBigUInt64LE(40))
  const [size, count] = [elf.readUInt16LE(58), elf.readUInt16LE(60)]
  const SYMTAB = 2
  return Array.from({ length: count }, (_, index) => elf.readUInt32LE(sections + index * size + 4)).every((type) => type !== SYMTAB)
}

for (const [name, bytes] of Object.entries(budget)) {
  test(`${name} has at most ${bytes} bytes`, (t) => {
    const file = path.join(root, name)
    if (!existsSync(file)) return t.skip('another system')
    const elf = readFileSync(file)
    if (!isStripped(elf)) return t.skip('a debug build')
    t.diagnostic(`${elf.length} bytes, ${bytes - elf.length} left`)
    assert.ok(elf.length <= bytes, `${elf.length} bytes, ${elf.length - bytes} more than npm/size-budget.json allows`)
    // A budget far above what is needed holds nothing.
    assert.ok(elf.length > bytes * 0.9, `${elf.length} bytes: lower the number in npm/size-budget.json`)
  })
}
