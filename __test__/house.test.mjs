// The shape of the house: rooms, floors, files and lines.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { test } from 'node:test'

const require = createRequire(import.meta.url)
const { agent, circles, floors, paths, root } = require('../scripts/house.js')

const FLOORS = 8
const ENTRIES = 20
const LINES = 400
/** A longer file says in its head why it is one. */
const REASON = /^(\/\/[/!]?|\s*\*) .*\bMore than 400 lines\b/m

const { files, graph, entries } = agent()

test('no files of the agent import each other in a circle', () => {
  assert.deepEqual(circles(files), [])
})

test('the rooms of the agent have no circle, at most eight floors and at most twenty entries', (t) => {
  assert.deepEqual(circles(graph), [])
  const plan = floors(graph)
  for (const [index, floor] of plan.entries()) t.diagnostic(`${index + 1}  ${floor.join(' ')}`)
  assert.ok(plan.length <= FLOORS, `${plan.length} floors`)
  assert.ok(entries.length <= ENTRIES, `${entries.length} entries`)
})

test('a use tree is read to its leaves, and a circle is found', () => {
  assert.deepEqual(paths('super::{a::{self, B as C}, d}'), ['super::a', 'super::a::B', 'super::d'])
  const graph = new Map([
    ['a', new Set(['b'])],
    ['b', new Set(['c'])],
    ['c', new Set(['b'])]
  ])
  assert.deepEqual(circles(graph), [['b', 'c', 'b']])
  assert.deepEqual(
    floors(
      new Map([
        ['a', new Set(['b'])],
        ['b', new Set()]
      ])
    ),
    [['b'], ['a']]
  )
})

test('a source file of more than 400 lines says why in its head', () => {
  const sources = ['lib', 'bin', 'scripts', 'src', 'crates/countersign/src', 'index.js']
  const list = execFileSync('git', ['ls-files', '-z', ...sources], { cwd: root, encoding: 'utf8' }).split('\0')
  const long = list
    .filter((file) => /\.(rs|js)$/.test(file))
    .map((file) => ({ file, lines: readFileSync(path.join(root, file), 'utf8').split('\n') }))
    .filter(({ lines }) => lines.length - 1 > LINES && !REASON.test(lines.slice(0, 20).join('\n')))
  assert.deepEqual(
    long.map(({ file, lines }) => `${file}: ${lines.length - 1}`),
    []
  )
})
