// Licences are read as they are meant: a choice is met by one, a sum by all.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'

const { isMet } = createRequire(import.meta.url)('../scripts/supply-chain')
const allowed = ['MIT', 'Apache-2.0', 'Apache-2.0 WITH LLVM-exception', 'ISC']

for (const [expression, met] of /** @type {[string, boolean][]} */ ([
  ['MIT', true],
  ['MIT OR Apache-2.0', true],
  ['MIT/GPL-3.0', true],
  ['GPL-3.0 OR MIT', true],
  ['GPL-3.0', false],
  ['MIT AND GPL-3.0', false],
  ['ISC AND (Apache-2.0 OR GPL-3.0)', true],
  ['(MIT OR ISC) AND GPL-3.0', false],
  ['Apache-2.0 WITH LLVM-exception OR GPL-3.0', true],
  ['GPL-3.0 WITH Classpath-exception-2.0', false],
  ['GPL-3.0 OR MIT AND GPL-2.0', false],
  ['', false],
  ['MIT)', false]
]))
  test(`${expression || 'nothing'}: ${met ? 'may be built in' : 'may not'}`, () =>
    assert.equal(isMet(expression, allowed), met))
